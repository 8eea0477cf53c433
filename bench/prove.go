package main

import "fmt"

// prove checks that a peer does all of its work: that the answers of the handlers
// are what the store holds, and that a sign-in and a sign-out do what the peer
// claims.
func prove(p peer, connect func() transport) error {
	for _, c := range allContents {
		if !p.does(read, c) {
			continue
		}
		v, err := visit(connect(), c)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		before := string(v.held)
		for _, step := range []work{read, write, read} {
			if err := v.work(step); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
		if string(v.held) == before { // there are two bools: the next one is the other
			if err := v.work(write); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			if err := v.work(read); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
		if string(v.held) == before && p.medium != nowhere {
			return fmt.Errorf("%s: the write of %s changed nothing", p.name, c)
		}
		if p.does(update, c) {
			for _, step := range []work{update, read} {
				if err := v.work(step); err != nil {
					return fmt.Errorf("%s: %w", p.name, err)
				}
			}
		}
		if !p.does(signIn, c) {
			continue
		}
		if err := proveSignIn(p, v, connect()); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if err := (&visitor{transport: connect()}).work(anonymous); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

// proveSignIn signs a visitor in and out, with a thief who copied the cookie.
func proveSignIn(p peer, v *visitor, thief transport) error {
	copied := func(cookie string) *visitor {
		thief.setCookie(cookie)
		return &visitor{transport: thief, content: v.content}
	}
	reading := v.content.of(routeReadSmall)
	old := v.cookie()
	if err := v.work(signIn); err != nil {
		return err
	}
	if err := v.expect(routeUser, userID); err != nil {
		return err
	}
	if err := v.work(read); err != nil {
		return fmt.Errorf("after the sign-in: %w", err)
	}
	if p.renews {
		if err := copied(old).expect(reading, saidNone); err != nil {
			return fmt.Errorf("with the cookie of before the sign-in: %w", err)
		}
	}
	old = v.cookie()
	if err := v.work(signOut); err != nil {
		return err
	}
	if p.ends {
		v.setCookie(old)
	}
	if err := v.expect(reading, saidNone); err != nil {
		return fmt.Errorf("after the sign-out: %w", err)
	}
	return nil
}
