package main

import (
	"net"
	"sync/atomic"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/session"
	fiberredis "github.com/gofiber/storage/redis/v3"
	"github.com/redis/go-redis/v9"
)

const (
	fiberMemory = "Fiber session, memory"
	fiberRedis  = "Fiber session, redis"
)

func fibers() []peer {
	library := func(name string, m medium, storage func(surroundings) fiber.Storage) peer {
		return peer{name: name, medium: m, does: everything, renews: true, ends: true, open: func(s surroundings) (*app, error) {
			a := fiber.New()
			a.Use(session.New(session.Config{Storage: storage(s)}))
			fiberRoutes(a)
			s.close.add(a.Shutdown)
			return &app{fast: a.Handler(), serve: func(l net.Listener) error {
				return a.Listener(l, fiber.ListenConfig{DisableStartupMessage: true})
			}}, nil
		}}
	}
	return []peer{
		library(fiberMemory, inMemory, func(surroundings) fiber.Storage { return nil }), // its default
		library(fiberRedis, inRedis, func(s surroundings) fiber.Storage {
			storage := fiberredis.NewFromConnection(redis.NewClient(&redis.Options{Addr: s.redis}))
			s.close.add(storage.Close)
			return storage
		}),
	}
}

func fiberRoutes(a *fiber.App) {
	var written atomic.Int64
	written.Store(1) // which every session starts with
	a.Get(routes[routeAnonymous].path, func(c fiber.Ctx) error { return c.SendString(saidHello) })
	a.Post(routes[routeStartSmall].path, func(c fiber.Ctx) error {
		fiberStart(session.FromContext(c))
		return c.SendString(answerSmall(valueName, 1))
	})
	a.Post(routes[routeStartLarge].path, func(c fiber.Ctx) error {
		s := session.FromContext(c)
		fiberStart(s)
		s.Set("text", largeTexts[1])
		return c.SendString(answerLarge(valueName, largeTexts[1]))
	})
	a.Get(routes[routeReadSmall].path, func(c fiber.Ctx) error {
		s := session.FromContext(c)
		name, _ := s.Get("name").(string)
		count, _ := s.Get("count").(int)
		return c.SendString(answerSmall(name, count))
	})
	a.Get(routes[routeReadLarge].path, func(c fiber.Ctx) error {
		s := session.FromContext(c)
		name, _ := s.Get("name").(string)
		text, _ := s.Get("text").(string)
		return c.SendString(answerLarge(name, text))
	})
	a.Post(routes[routeWriteSmall].path, func(c fiber.Ctx) error {
		count := int(written.Add(1))
		session.FromContext(c).Set("count", count)
		return c.SendString(answerSmall(valueName, count))
	})
	a.Post(routes[routeWriteLarge].path, func(c fiber.Ctx) error {
		text := largeText(written.Add(1))
		session.FromContext(c).Set("text", text)
		return c.SendString(answerLarge(valueName, text))
	})
	for _, k := range kinds {
		k.fiber(a)
	}
	a.Post(routes[routeSignIn].path, func(c fiber.Ctx) error {
		s := session.FromContext(c)
		if err := s.Regenerate(); err != nil {
			return err
		}
		s.Set("user", userID)
		return c.SendString(userID)
	})
	a.Get(routes[routeUser].path, func(c fiber.Ctx) error {
		user, ok := session.FromContext(c).Get("user").(string)
		if !ok {
			user = saidNone
		}
		return c.SendString(user)
	})
	a.Post(routes[routeSignOut].path, func(c fiber.Ctx) error {
		if err := session.FromContext(c).Reset(); err != nil {
			return err
		}
		return c.SendString(saidBye)
	})
}

func fiberStart(s *session.Middleware) {
	s.Set("name", valueName)
	s.Set("theme", valueTheme)
	s.Set("lang", valueLang)
	s.Set("csrf", valueToken)
	s.Set("count", 1)
}
