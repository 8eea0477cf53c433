// The Express application of the tests: it shares its sessions with the Gin one in
// app_test.go. Every path has its counterpart there.
'use strict';

const express = require('express');
const cookieParser = require('cookie-parser');
const session = require('express-session');

const { STORE, REDIS, TABLE, MAX_AGE, SECURE, DOMAIN } = process.env;
const secrets = ['a new secret of the shop', 'an old secret of the shop'];

async function newStore() {
  if (STORE === 'redis') {
    const { RedisStore } = require('connect-redis');
    const { createClient } = require('redis');
    const client = createClient({ socket: { path: REDIS } });
    await client.connect();
    return new RedisStore({ client, prefix: TABLE });
  }
  const { Pool } = require('pg');
  const PgStore = require('connect-pg-simple')(session);
  return new PgStore({ pool: new Pool(), tableName: TABLE });
}

async function main() {
  const app = express();
  app.set('trust proxy', 'loopback');
  app.use(cookieParser(secrets));
  const cookie = {};
  if (MAX_AGE) cookie.maxAge = Number(MAX_AGE);
  if (SECURE) cookie.secure = SECURE === 'auto' ? 'auto' : true;
  if (DOMAIN) cookie.domain = DOMAIN;
  app.use(session({ store: await newStore(), secret: secrets, resave: false, saveUninitialized: false, cookie }));

  const r = express.Router();
  r.get('/get', (req, res) => res.json(req.session[req.query.name] ?? null));
  r.get('/set', (req, res) => {
    req.session[req.query.name] = JSON.parse(req.query.value);
    res.json('ok');
  });
  r.get('/delete', (req, res) => {
    delete req.session[req.query.name];
    res.json('ok');
  });
  r.get('/all', (req, res) => {
    const values = {};
    for (const [name, value] of Object.entries(req.session)) {
      if (name !== 'cookie' && name !== 'userId' && !name.startsWith('_kit:')) values[name] = value;
    }
    res.json(values);
  });
  r.get('/me', (req, res) => res.json(req.session.userId ?? null));
  r.get('/login', (req, res, next) => {
    const kept = req.session.userId ? {} : { ...req.session }; // as a visitor's cart is kept
    delete kept.cookie;
    req.session.regenerate((err) => {
      if (err) return next(err);
      Object.assign(req.session, kept, { userId: req.query.user });
      if (req.query.remember === 'no') req.session.cookie.expires = false; // as the README of express-session says
      req.session.save((err) => (err ? next(err) : res.json('ok')));
    });
  });
  r.get('/logout', (req, res, next) => req.session.destroy((err) => (err ? next(err) : res.json('ok'))));
  r.get('/renew', (req, res, next) => {
    if (Object.keys(req.session).length === 1) return res.json('ok'); // there is nothing but the cookie
    const kept = { ...req.session };
    delete kept.cookie;
    req.session.regenerate((err) => {
      if (err) return next(err);
      Object.assign(req.session, kept);
      res.json('ok');
    });
  });
  r.get('/add', (req, res) => {
    req.session.cart = [...(req.session.cart ?? []), { name: req.query.item, n: 1 }];
    res.json('ok');
  });
  r.get('/flash', (req, res) => {
    req.session.flash = [...(req.session.flash ?? []), req.query.text];
    res.json('ok');
  });
  r.get('/flashes', (req, res) => {
    const flashes = req.session.flash ?? [];
    delete req.session.flash;
    res.json(flashes);
  });
  r.get('/expire', (req, res) => {
    req.session.cookie.maxAge = Number(req.query.ms);
    res.json('ok');
  });
  r.get('/cookie', (req, res) => {
    if (req.query.signed) res.cookie('s', req.query.signed, { signed: true });
    if (req.query.json) res.cookie('j', JSON.parse(req.query.json), { signed: true });
    res.json([req.signedCookies.s ?? null, req.signedCookies.j ?? null]);
  });
  // A request that takes as long as the test says: it has read the session and
  // changed it, and saves when /release comes.
  let release;
  r.get('/slow', (req, res) => {
    req.session.slow = true;
    release = () => res.json('ok');
    waiting?.();
    waiting = undefined;
  });
  let waiting;
  r.get('/slow-began', (req, res) => {
    if (release) return res.json('ok');
    waiting = () => res.json('ok');
  });
  r.get('/release', (req, res) => {
    release();
    release = undefined;
    res.json('ok');
  });
  r.get('/page', (req, res) => {
    res.type('html').send(`<!doctype html><p id="who">${req.session.userId ?? 'nobody'}</p><p id="cart">${(req.session.cart ?? []).map((i) => i.name)}</p>`);
  });
  app.use('/node', r);
  app.use((err, req, res, next) => res.status(500).json(String(err)));
  const server = app.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
}

main().catch((err) => {
  console.error(err);
  process.exit(1);
});
