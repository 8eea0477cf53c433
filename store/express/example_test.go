package express_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"
	"github.com/redis/rueidis"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/express"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

func Example() { //nolint:testableexamples // it needs a server
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{"localhost:6379"}})
	if err != nil {
		log.Fatal(err)
	}

	r := gin.New()
	r.Use(sessionkit.Sessions(express.Redis(client, express.Config{
		Secrets: express.Secrets{[]byte(os.Getenv("SESSION_SECRET"))}, // session({ secret })
		User:    express.User{Name: "userId"},                         // req.session.userId
	})))

	username := sessionkit.NewKey[string]("username") // req.session.username
	r.POST("/login", func(c *gin.Context) {
		sessionkit.Login(c, "42") // Node sees req.session.userId === '42'
		username.Set(c, "ada")
		c.Redirect(http.StatusSeeOther, "/account")
	})
}

func ExamplePostgres() { //nolint:testableexamples // it needs a server
	db, err := sql.Open("pgx", "postgres://localhost/shop")
	if err != nil {
		log.Fatal(err)
	}

	r := gin.New()
	r.Use(sessionkit.Sessions(express.Postgres(db, express.Config{
		Secrets: express.Secrets{[]byte(os.Getenv("SESSION_SECRET"))},
		Table:   "user_sessions", // new pgSession({ tableName })
	})))
}

// When Express is gone, its sessions move to a store of this module.
func ExampleStore_UserOf() { //nolint:testableexamples // it needs a server
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{"localhost:6379"}})
	if err != nil {
		log.Fatal(err)
	}

	old := express.Redis(client, express.Config{
		Secrets: express.Secrets{[]byte(os.Getenv("SESSION_SECRET"))},
		User:    express.User{Name: "userId"},
	})
	r := gin.New()
	r.Use(sessionkit.Sessions(store.Migrate(old, redisstore.New(client), "connect.sid", old.UserOf)))
}

// The application keeps who is signed in as { user: { id: 42 } }.
func ExampleUser() {
	object := express.User{
		Name: "user",
		Read: func(raw json.RawMessage) string {
			var u struct{ ID json.Number } // a string in place of json.Number for { id: 'ada' }
			_ = json.Unmarshal(raw, &u)
			return u.ID.String()
		},
		Write: func(user string) any { return map[string]json.Number{"id": json.Number(user)} },
	}
	fmt.Println(object.Read(json.RawMessage(`{"id":42}`)))
	// Output: 42
}

// serializeUser calls done(null, user.id), where user.id is a number.
func ExamplePassport() {
	config := express.Config{
		Secrets: express.Secrets{[]byte("keyboard cat")},
		User:    express.Passport[int](), // express.Passport[string]() for a text
	}
	fmt.Println(config.User.Read(json.RawMessage(`{"user":42}`)))
	// Output: 42
}

func ExampleSecrets() {
	secrets := express.Secrets{[]byte("tobiiscool")}
	text := secrets.Sign("hello") // for sessionkit.SetCookie
	fmt.Println(text)
	fmt.Println(secrets.Unsign(text)) // what sessionkit.GetCookie returns
	// Output:
	// s:hello.DGDUkGlIkCzPz+C0B064FNgHdEjox7ch8tOBGslZ5QI
	// hello true
}

func ExampleEncodeJSON() {
	text, err := express.EncodeJSON(map[string]int{"amount": 2})
	if err != nil {
		log.Fatal(err)
	}
	var line struct{ Amount int }
	err = express.DecodeJSON(text, &line)
	fmt.Println(text, line.Amount, err)
	// Output: j:{"amount":2} 2 <nil>
}
