package howto

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
)

// LoginID signs in a user whose ID is a number.
func LoginID(c *gin.Context, id int64) { sessionkit.Login(c, strconv.FormatInt(id, 10)) }

// UserID returns the ID of the signed-in user.
func UserID(c *gin.Context) (id int64, ok bool) {
	user, ok := sessionkit.User(c)
	if !ok {
		return 0, false
	}
	id, err := strconv.ParseInt(user, 10, 64)
	return id, err == nil
}

// LoginUUID signs in a user whose ID is a UUID.
func LoginUUID(c *gin.Context, id uuid.UUID) { sessionkit.Login(c, id.String()) }

// UserUUID returns the ID of the signed-in user.
func UserUUID(c *gin.Context) (id uuid.UUID, ok bool) {
	user, _ := sessionkit.User(c)
	id, err := uuid.Parse(user)
	return id, err == nil
}

// Notices are shown to the user on the next page.
var Notices = sessionkit.NewKey[[]string]("notices")

// StartJob answers the request, and has a job begin that tells its session when it is
// done.
func StartJob(c *gin.Context, s *store.Store, job func(context.Context) error) {
	c.Status(http.StatusAccepted)
	c.Writer.WriteHeaderNow() // saves the session: one that begins here, or is signed in to, gets its ID only now
	if sessionkit.Err(c) != nil {
		return // the client got a 503
	}
	session := sessionkit.Current(c).ID // not c: the request is over when the job is done
	ctx := context.WithoutCancel(c.Request.Context())
	go func() {
		text := "Your report is ready."
		if job(ctx) != nil {
			text = "Your report failed."
		}
		_, _ = Notices.UpdateIn(ctx, s, session, func(all []string) []string { return append(all, text) }) // store.ErrEnded: the user has signed out
	}()
}

// TakeNotices returns the notices, each for one page.
func TakeNotices(c *gin.Context) []string {
	if fetchedAhead(c) {
		return nil
	}
	all, _ := Notices.Take(c)
	return all
}

// fetchedAhead reports whether nobody sees this page yet, and perhaps nobody will.
func fetchedAhead(c *gin.Context) bool {
	for _, header := range []string{"Sec-Purpose", "Purpose", "X-Sec-Purpose"} { // of browsers, older ones, and Turbo
		if strings.HasPrefix(c.GetHeader(header), "prefetch") {
			return true
		}
	}
	return c.GetHeader("HX-Preloaded") == "true" // htmx
}

// ShowSessions shows the sessions of all users, for administrators.
func ShowSessions(s *store.Store) gin.HandlerFunc {
	return func(c *gin.Context) {
		counts, err := s.Count(c)
		if err != nil {
			c.AbortWithStatus(http.StatusServiceUnavailable)
			return
		}
		var page []store.Session
		for session, err := range s.All(c) {
			if err != nil {
				c.AbortWithStatus(http.StatusServiceUnavailable)
				return
			}
			if session.User != "" {
				page = append(page, session)
			}
			if len(page) == 100 {
				break
			}
		}
		c.JSON(http.StatusOK, gin.H{"signed_in": counts.SignedIn, "sessions": page})
	}
}
