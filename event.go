package sessionkit

import "github.com/gin-gonic/gin"

// EventKind says what happened to a session.
type EventKind string

// The kinds of events.
const (
	EventCreated     EventKind = "created"      // a session was stored for the first time
	EventSignedIn    EventKind = "signed-in"    // Login was saved
	EventRenewed     EventKind = "renewed"      // Renew was saved: a new ID
	EventSignedOut   EventKind = "signed-out"   // Logout was saved
	EventExpired     EventKind = "expired"      // a request came for a session that had run out
	EventRevoked     EventKind = "revoked"      // a session was ended from elsewhere, or by MaxSessions
	EventRejected    EventKind = "rejected"     // a cookie came that is malformed or names no session
	EventCrossOrigin EventKind = "cross-origin" // a cross-origin request was refused
	EventStoreError  EventKind = "store-error"  // the store failed
)

// The kinds of events of sessions that are bound to devices: see Config.DeviceBound.
const (
	EventBound        EventKind = "bound"         // a session was bound to a device
	EventUnbound      EventKind = "unbound"       // a request came for a bound session, without a valid bound cookie: it may be stolen
	EventProofRefused EventKind = "proof-refused" // a proof came that is malformed, or signed by another key
)

// Event tells [Config].OnEvent what happened, once for each time that it
// happens. It holds no secret.
type Event struct {
	Kind      EventKind
	User      string // "" if nobody is signed in
	SessionID string // "" if there is none
	Err       error  // of EventStoreError, EventCrossOrigin and EventProofRefused

	// PreviousID is the ID that a session had before, of EventRenewed and
	// EventSignedIn: "" if it had none.
	PreviousID string
}

// pendingCalls are the calls of OnEvent and OnError that wait until the request's
// lock is free: what they call may need it.
type pendingCalls struct {
	events []Event
	errs   []error
}

// make makes the calls.
func (p *pendingCalls) make(k *kit, c *gin.Context) {
	for _, e := range p.events {
		k.OnEvent(c, e)
	}
	for _, err := range p.errs {
		k.OnError(c, err)
	}
}
