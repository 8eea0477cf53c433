package howto

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"golang.org/x/oauth2"

	"github.com/gin-sessionkit/sessionkit"
)

// A signIn is a sign-in at the provider that this browser has begun.
type signIn struct{ State, Nonce, Verifier, Next string }

var pending = sessionkit.NewKey[signIn]("oauth")

// Provider is an OpenID Connect provider.
type Provider struct {
	OAuth2   oauth2.Config
	Verifier *oidc.IDTokenVerifier

	// ResponseMode is how the browser brings the answer: "query", or "form_post".
	ResponseMode oauth2.AuthCodeOption
}

// NewProvider looks up a provider by its issuer, such as "https://accounts.google.com".
// The application is known there by its ID and secret, and by site + "/auth/callback".
func NewProvider(ctx context.Context, issuer, id, secret, site string) (*Provider, error) {
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return nil, err
	}
	return &Provider{
		OAuth2: oauth2.Config{
			ClientID: id, ClientSecret: secret, Endpoint: provider.Endpoint(),
			RedirectURL: site + "/auth/callback", Scopes: []string{oidc.ScopeOpenID},
		},
		Verifier:     provider.Verifier(&oidc.Config{ClientID: id}),
		ResponseMode: oauth2.SetAuthURLParam("response_mode", "query"), // or "form_post", see below
	}, nil
}

// Routes adds the sign-in at a provider to the routes of an application.
func (p *Provider) Routes(r gin.IRouter) {
	r.GET("/auth", func(c *gin.Context) {
		in := signIn{rand.Text(), rand.Text(), oauth2.GenerateVerifier(), sessionkit.NextURL(c, "/")}
		pending.Set(c, in)
		options := []oauth2.AuthCodeOption{oidc.Nonce(in.Nonce), oauth2.S256ChallengeOption(in.Verifier), p.ResponseMode}
		c.Redirect(http.StatusSeeOther, p.OAuth2.AuthCodeURL(in.State, options...))
	})
	r.GET("/auth/callback", func(c *gin.Context) {
		in, ok := pending.Get(c)
		if ok && c.Query("state") == in.State { // a link of another site, with any state, ends no sign-in
			in, ok = pending.Take(c)
		}
		if !ok || c.Query("state") != in.State {
			c.String(http.StatusBadRequest, "This sign-in was not begun here, or is over. Please try again.")
			return
		}
		user, err := p.identify(c.Request.Context(), c.Query("code"), in)
		if err != nil {
			slog.WarnContext(c, "sign-in at the provider", "err", err)
			c.String(http.StatusForbidden, "The sign-in failed. Please try again.")
			return
		}
		sessionkit.Login(c, user) // the cart and other values of the visitor stay
		c.Redirect(http.StatusSeeOther, in.Next)
	})
}

func (p *Provider) identify(ctx context.Context, code string, in signIn) (user string, err error) {
	token, err := p.OAuth2.Exchange(ctx, code, oauth2.VerifierOption(in.Verifier))
	if err != nil {
		return "", err
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := p.Verifier.Verify(ctx, raw) // its signature, issuer, audience and expiry
	if err != nil {
		return "", err
	}
	if id.Nonce != in.Nonce {
		return "", errors.New("the ID token is of another sign-in")
	}
	return id.Issuer + " " + id.Subject, nil // or the account that you keep for these two
}

// WithFormPost returns an application to which a provider may post its answer, also if it has
// a CORS middleware.
func WithFormPost(store sessions.Store, cors gin.HandlerFunc) *gin.Engine {
	r := gin.New()
	r.POST("/auth/callback", func(c *gin.Context) { // before r.Use: both would refuse the provider's origin
		answer := url.Values{"state": {c.PostForm("state")}, "code": {c.PostForm("code")}}
		c.Redirect(http.StatusSeeOther, "/auth/callback?"+answer.Encode()) // as if by GET, with the session cookie
	})
	r.Use(cors, sessionkit.Sessions(store)) // cors: if you have one
	return r
}
