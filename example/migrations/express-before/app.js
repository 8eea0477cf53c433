// A shop in Express whose sessions are in Redis: the user's number, a cart, and 30 days
// for those who ask for it.
'use strict';

const express = require('express');
const session = require('express-session');
const { RedisStore } = require('connect-redis');
const { createClient } = require('redis');

const client = createClient({ url: `redis://${process.env.REDIS}` });

const app = express();
app.use(express.urlencoded());
app.use(session({
  store: new RedisStore({ client }),
  secret: 'keyboard cat',
  resave: false,
  saveUninitialized: false,
  cookie: { maxAge: 7 * 24 * 60 * 60 * 1000 },
}));

app.post('/login', (req, res, next) => {
  const id = Number(req.body.id);
  if (!Number.isInteger(id) || req.body.password !== 'opensesame') {
    return res.status(401).send('wrong number or password');
  }
  const { cart } = req.session;
  req.session.regenerate((err) => {
    if (err) return next(err);
    req.session.user = { id };
    req.session.cart = cart;
    if (req.body.remember) req.session.cookie.maxAge = 30 * 24 * 60 * 60 * 1000;
    req.session.save((err) => (err ? next(err) : res.redirect('/account')));
  });
});

app.post('/logout', (req, res, next) => {
  req.session.destroy((err) => (err ? next(err) : res.redirect('/cart')));
});

app.get('/cart', (req, res) => res.json(req.session.cart ?? null));

app.post('/cart', (req, res, next) => {
  const amount = Number(req.body.amount);
  if (!Number.isInteger(amount)) return res.status(400).send('how many?');
  req.session.cart = [...(req.session.cart ?? []), { item: req.body.item, amount }];
  req.session.save((err) => (err ? next(err) : res.redirect('/cart')));
});

app.get('/account', (req, res) => {
  if (!req.session.user) return res.redirect('/login');
  res.send(`user ${req.session.user.id}`);
});

client.connect().then(() => {
  const server = app.listen(process.env.PORT ?? 0, 'localhost', () => console.log(`http://localhost:${server.address().port}`));
});
