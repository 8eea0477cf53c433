// What an Express application does, for the test beside it. Each path has its
// counterpart in kit_test.go.
'use strict';

const express = require('express');
const cookieParser = require('cookie-parser');
const session = require('express-session');
const { parseCookie } = require('cookie');
const signature = require('cookie-signature');

const app = express();
app.set('trust proxy', 'loopback');

// Cookies. keys is the list of secrets, the first of which signs.
function cookies(keys) {
  const r = express.Router();
  r.use((req, res, next) => {
    req.secret = undefined; // each router has its own
    req.cookies = undefined;
    next();
  });
  r.use(cookieParser(keys));
  r.get('/set', (req, res) => {
    res.cookie('v', req.query.v);
    res.end();
  });
  r.get('/get', (req, res) => res.json(req.cookies.v ?? null));
  r.get('/age', (req, res) => {
    res.cookie('v', 'x', { maxAge: 90 * 1000 });
    res.end();
  });
  r.get('/attributes', (req, res) => {
    res.cookie('v', 'x', {
      path: '/docs', domain: 'example.com', httpOnly: true, secure: true, sameSite: 'none', partitioned: true,
    });
    res.end();
  });
  r.get('/object', (req, res) => {
    res.cookie('o', { name: 'tea', n: 2 });
    res.end();
  });
  r.get('/read-object', (req, res) => res.json(req.cookies.o ?? null));
  r.get('/clear', (req, res) => {
    res.clearCookie('v');
    res.end();
  });
  r.get('/several', (req, res) => {
    res.cookie('v', 'first').cookie('w', 'w').cookie('v', 'last');
    res.end();
  });
  r.get('/sign', (req, res) => {
    res.cookie('s', req.query.v, { signed: true });
    res.end();
  });
  r.get('/verify', (req, res) => res.json(req.signedCookies.s || null));
  r.get('/refused', (req, res) => {
    const refused = [
      () => res.cookie('a b', 'x'),
      () => res.cookie('v', 'x', { path: '/;' }),
      () => res.cookie('v', 'x', { domain: 'exa mple.com' }),
      () => res.cookie('v', 'x', { sameSite: 'sometimes' }),
    ].filter((set) => {
      try {
        set();
        return false;
      } catch {
        return true;
      }
    });
    res.json(refused.length);
  });
  return r;
}
app.use('/cookies', cookies(['new secret of 32 bytes and more..', 'old secret of 32 bytes and more..']));
app.use('/before', cookies(['old secret of 32 bytes and more..']));
app.use('/alone', cookies(['new secret of 32 bytes and more..']));

// Sessions.
const secret = 'a secret of the session cookie';
const defaults = { secret, resave: false, saveUninitialized: false };

function sessions(options) {
  const r = express.Router();
  r.use((req, res, next) => {
    req.session = undefined; // each router has its own
    next();
  });
  r.use(session({ ...defaults, ...options, store: new session.MemoryStore() }));
  r.get('/nothing', (req, res) => res.end());
  r.get('/add', (req, res) => {
    req.session.n = (req.session.n || 0) + 1;
    res.end();
  });
  r.get('/add-and-go', (req, res) => {
    req.session.n = (req.session.n || 0) + 1;
    res.redirect(303, req.baseUrl + '/read');
  });
  r.get('/read', (req, res) => res.json(req.session.n ?? null));
  r.get('/object', (req, res) => {
    req.session.cart = [{ name: 'tea', n: 2 }];
    res.end();
  });
  r.get('/read-object', (req, res) => res.json(req.session.cart ?? null));
  r.get('/delete', (req, res) => {
    delete req.session.n;
    res.end();
  });
  r.get('/regenerate', (req, res, next) => {
    const { n } = req.session;
    req.session.regenerate((err) => {
      if (err) return next(err);
      req.session.n = n; // here they are dropped, there they stay
      res.end();
    });
  });
  r.get('/destroy', (req, res, next) => req.session.destroy((err) => (err ? next(err) : res.end())));
  r.get('/stream', (req, res) => {
    req.session.n = 1;
    res.write('first');
    res.end('last');
  });
  return r;
}
app.use('/session', sessions({}));
app.use('/named', sessions({ name: 'sid' }));
app.use('/short', sessions({ rolling: true, cookie: { maxAge: 3000 } }));
app.use('/secure', sessions({ cookie: { secure: true } }));
app.use('/auto', sessions({ cookie: { secure: 'auto' } }));
app.use('/path', sessions({ cookie: { path: '/path', sameSite: 'strict' } }));

// The packages alone.
app.get('/parse', (req, res) => res.json(parseCookie(req.get('Cookie') || '')));
app.get('/sign', (req, res) => res.json('s:' + signature.sign(req.query.v, req.query.secret)));

const server = app.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
