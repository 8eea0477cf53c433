package main_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// do runs actions.
func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, actions...))
}

// ask runs an action that returns a value.
func ask[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	require.NoError(b.t, err)
	return v
}

// call sends a command to the browser.
func call[P, R any](b *tab, command cdp.Command[P, R], parameters P) R {
	b.t.Helper()
	return ask(b, func(ctx context.Context, t *chromedp.Target) (R, error) {
		return cdp.Call(ctx, t, command, parameters)
	})
}

// open loads a page and returns the status of the response.
func (b *tab) open(path string) int {
	b.t.Helper()
	return b.leave(chromedp.Navigate(b.site + path))
}

// click clicks on what leads to another page.
func (b *tab) click(selector string) int {
	b.t.Helper()
	return b.leave(chromedp.Click(chromedp.CSS(selector)))
}

func (b *tab) leave(action chromedp.Action[chromedp.Void]) int {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	response, err := chromedp.RunResponse(ctx, action)
	require.NoError(b.t, err)
	return int(response.Status)
}

// path returns where the browser is, with the query.
func (b *tab) path() string {
	b.t.Helper()
	return strings.TrimPrefix(ask(b, chromedp.Location()), b.site)
}

func (b *tab) text(selector string) string {
	b.t.Helper()
	return ask(b, chromedp.Text(chromedp.CSS(selector)))
}

func (b *tab) has(selector string) bool {
	b.t.Helper()
	return js[bool](b, fmt.Sprintf("document.querySelector(%q) !== null", selector))
}

// wait waits until an expression of JavaScript is true.
func (b *tab) wait(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		if err == nil && ok {
			return
		}
		require.NoError(b.t, ctx.Err(), "waited for %s: %v", expression, err)
		time.Sleep(10 * time.Millisecond)
	}
}

// waitText waits until an element shows a text.
func (b *tab) waitText(selector, text string) {
	b.t.Helper()
	b.wait(fmt.Sprintf("document.querySelector(%q)?.innerText.includes(%q) === true", selector, text))
}

func js[T any](b *tab, expression string) T {
	b.t.Helper()
	return ask(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

func (b *tab) size(width, height int64) {
	b.t.Helper()
	options := []chromedp.EmulateViewportOption{}
	if width < 600 {
		options = append(options, chromedp.EmulateMobile)
	}
	b.do(chromedp.EmulateViewport(width, height, options...))
}

// withoutScripts turns JavaScript off, for the pages opened from now on.
func (b *tab) withoutScripts() {
	b.t.Helper()
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// fill puts a text into a field.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.do(chromedp.SetValue(chromedp.CSS(selector), text))
}

// signIn signs in on the login page, by the mouse.
func (b *tab) signIn(user string, options ...string) {
	b.t.Helper()
	if !strings.HasPrefix(b.path(), "/login") {
		b.open("/login")
	}
	b.fill("#user", user)
	b.fill("#password", "opensesame")
	for _, option := range options {
		b.do(chromedp.Click(chromedp.CSS(option)))
	}
	b.click("form[action='/login'] button")
}
