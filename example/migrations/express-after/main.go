// The program of express-before, on sessionkit. While both are live, behind one proxy,
// they share the sessions; when Express is gone, these move to a store of sessionkit.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/redis/rueidis"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/express"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

// Line is a line of a cart.
type Line struct {
	Item   string `json:"item"`
	Amount int    `json:"amount"`
}

var cart = sessionkit.NewKey[[]Line]("cart")

// asInExpress is how express-before is configured.
var asInExpress = express.Config{
	Secrets: express.Secrets{[]byte("keyboard cat")},
	Cookie:  express.Cookie{MaxAge: 7 * 24 * time.Hour},
	User: express.User{
		Name: "user", // { id: 7 }
		Read: func(raw json.RawMessage) string {
			var user struct{ ID json.Number }
			_ = json.Unmarshal(raw, &user)
			return user.ID.String()
		},
		Write: func(id string) any { return map[string]json.Number{"id": json.Number(id)} },
	},
}

func main() {
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{os.Getenv("REDIS")}})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(newRouter(sessionStore(client)).Run("localhost:" + os.Getenv("PORT")))
}

// sessionStore returns the store: the one of Express as long as that is live.
func sessionStore(client rueidis.Client) sessions.Store {
	old := express.Redis(client, asInExpress)
	if os.Getenv("EXPRESS") == "live" {
		return old
	}
	return store.Migrate(old, redisstore.New(client), "connect.sid", old.UserOf)
}

func newRouter(store sessions.Store) *gin.Engine {
	r := gin.Default()
	r.Use(sessionkit.Sessions(store))
	r.POST("/login", login)
	r.POST("/logout", logout)
	r.GET("/cart", showCart)
	r.POST("/cart", addToCart)
	r.GET("/account", sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login"}), account)
	return r
}

func login(c *gin.Context) {
	id := c.PostForm("id")
	if _, err := strconv.ParseUint(id, 10, 32); err != nil || c.PostForm("password") != "opensesame" {
		c.String(http.StatusUnauthorized, "wrong number or password")
		return
	}
	options := []sessionkit.LoginOption{sessionkit.Remember()} // for 30 days
	if c.PostForm("remember") == "" {
		options = append(options, sessionkit.Lifetime(7*24*time.Hour))
	}
	sessionkit.Login(c, id, options...)
	c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/account"))
}

func logout(c *gin.Context) {
	sessionkit.Logout(c)
	c.Redirect(http.StatusSeeOther, "/cart")
}

func showCart(c *gin.Context) {
	lines, _ := cart.Get(c)
	c.JSON(http.StatusOK, lines)
}

func addToCart(c *gin.Context) {
	amount, err := strconv.Atoi(c.PostForm("amount"))
	if err != nil {
		c.String(http.StatusBadRequest, "how many?")
		return
	}
	line := Line{c.PostForm("item"), amount}
	_, err = cart.Update(c, func(lines []Line) []Line { return append(lines, line) })
	if err != nil {
		c.AbortWithStatus(http.StatusServiceUnavailable)
		return
	}
	c.Redirect(http.StatusSeeOther, "/cart")
}

func account(c *gin.Context) {
	user, _ := sessionkit.User(c)
	c.String(http.StatusOK, "user %s", user)
}
