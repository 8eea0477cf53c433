package dbsc

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// The names of the values that a session keeps of its binding. Each is changed by itself:
// no request that changes other values can undo it, and no two proofs can both count.
const (
	Name      = value.OwnPrefix + "bound"       // a [Binding]
	NameOffer = value.OwnPrefix + "bound_offer" // an [Offer], from the sign-in to the registration
	NameUsed  = value.OwnPrefix + "bound_used"  // the browser has sent a bound cookie back
)

// The texts of values that say one thing only.
const (
	Used = "true" // of [NameUsed]
	Held = "true" // of [NameOffer]: the offer has yet to be made, and has no challenge
)

// A Ticket is a challenge that was given out and has not been answered. It is no secret:
// without the key nobody can answer it.
type Ticket struct {
	Challenge string    `json:"c"`
	Until     time.Time `json:"until"`
}

// NewTicket returns a challenge of 128 random bits or more.
func NewTicket(until time.Time) Ticket {
	return Ticket{Challenge: rand.Text(), Until: until.UTC().Truncate(time.Second)}
}

// Answers reports whether a challenge is the one of the ticket, in time.
func (t Ticket) Answers(challenge string, now time.Time) bool {
	return t.Challenge != "" && now.Before(t.Until) && subtle.ConstantTimeCompare([]byte(t.Challenge), []byte(challenge)) == 1
}

// An Offer is what a session keeps of a registration that was offered: a challenge that
// is good for nothing else.
type Offer struct {
	Ticket Ticket `json:"ticket"`
}

// A Cookie is what a session keeps of a bound cookie: the hash of its value.
type Cookie struct {
	Hash  string    `json:"h"`
	Until time.Time `json:"until"`
}

// maxCookies is how many bound cookies are kept. Each has cost a signature, of which
// Chromium makes six in nine minutes.
const maxCookies = 6

// A Binding is what a session keeps of the device that it is bound to.
type Binding struct {
	ID     string    `json:"id"` // names the binding to the browser; not the session's
	Key    Key       `json:"key"`
	Since  time.Time `json:"since"`  // the registration
	Proved time.Time `json:"proved"` // the last proof
	Ticket Ticket    `json:"ticket"` // what the next proof is to sign

	// Cookies are the last bound cookies, the latest first. The ones before are good for
	// as long as they would have been: requests run in parallel with a refresh, and the
	// answer to one may be lost. Those that have expired stay for requests that arrived
	// before that, and have yet to ask for their session.
	Cookies []Cookie `json:"cookies"`
}

// New returns the binding of a session to a key.
func New(k Key, now time.Time) Binding {
	return Binding{ID: rand.Text(), Key: k, Since: now.UTC().Truncate(time.Millisecond)}
}

// Prove records a proof. It returns the value of the bound cookie that follows from it.
func (b *Binding) Prove(now, until time.Time) (cookie string) {
	cookie = rand.Text() + rand.Text() // 256 random bits
	b.Proved = now.UTC().Truncate(time.Millisecond)
	b.Ticket = Ticket{}
	b.Cookies = append([]Cookie{{hash(cookie), until.UTC().Truncate(time.Second)}}, b.Cookies...)
	b.Cookies = b.Cookies[:min(len(b.Cookies), maxCookies)]
	return cookie
}

// Accepts reports whether a value is that of a bound cookie that counted at a time.
func (b *Binding) Accepts(cookie string, at time.Time) bool {
	h := []byte(hash(cookie))
	for _, c := range b.Cookies {
		if at.Before(c.Until) && subtle.ConstantTimeCompare([]byte(c.Hash), h) == 1 {
			return true
		}
	}
	return false
}

func hash(cookie string) string {
	sum := sha256.Sum256([]byte(cookie))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Text returns the value that holds the binding.
func (b *Binding) Text() string { return encode(*b) }

// Text returns the value that holds the offer.
func (o Offer) Text() string { return encode(o) }

// BindingOf returns the binding of the value [Name]. It is false if there is none, or the
// text is not that of one.
func BindingOf(text string) (Binding, bool) {
	var b Binding
	ok := decodeValue(text, &b) && b.ID != "" && b.Key.public != nil
	return b, ok
}

// OfferOf returns the offer of the value [NameOffer], the zero value if there is none.
func OfferOf(text string) Offer {
	var o Offer
	if !decodeValue(text, &o) {
		return Offer{}
	}
	return o
}

// Describe returns whether the value [Name] is there, and when the device was last
// proved.
func Describe(text string) (bound bool, proved time.Time) {
	if text == "" {
		return false, time.Time{}
	}
	var b struct {
		Proved time.Time `json:"proved"`
	}
	_ = decodeValue(text, &b)
	return true, b.Proved
}

func encode(v any) string {
	j, err := json.Marshal(v)
	if err != nil {
		panic(err) // a binding without a key, which New does not make
	}
	text, _ := value.Encode(value.JSON(j))
	return text
}

func decodeValue(text string, v any) bool {
	if text == "" {
		return false
	}
	held, err := value.Decode(text)
	j, ok := held.(value.JSON)
	return err == nil && ok && json.Unmarshal([]byte(j), v) == nil
}
