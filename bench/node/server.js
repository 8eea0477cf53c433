// express-session as its documentation sets it up, with MemoryStore or, where
// REDIS_URL is set, connect-redis. It prints its port and answers the same routes
// as the other peers.
import {RedisStore} from "connect-redis"
import express from "express"
import session from "express-session"
import {createClient} from "redis"

process.env.NODE_ENV = "production"

const options = {secret: "a secret of thirty-two characters", resave: false, saveUninitialized: false}
if (process.env.REDIS_URL) {
  const client = createClient({url: process.env.REDIS_URL})
  await client.connect()
  options.store = new RedisStore({client, prefix: "express:"})
}

const texts = Array.from({length: 16}, (_, i) => String(i).padStart(8, "0") + "x".repeat(4088))
const small = {name: "tea", theme: "dark", lang: "en", csrf: "2jmj7l5rSw0yVb_vlWAYkK_YBwk", count: 1}
let written = 1

const app = express()
app.disable("x-powered-by")
app.disable("etag")
app.use(session(options))

const say = (res, text) => res.type("text/plain").send(text)
const contents = {
  small: {start: small, read: (s) => s.count, write: (s) => { s.count = ++written; return s.count }},
  large: {
    start: {...small, text: texts[1]},
    read: (s) => s.text.slice(0, 8),
    write: (s) => { s.text = texts[++written % texts.length]; return s.text.slice(0, 8) },
  },
}

app.get("/anonymous", (req, res) => say(res, "hello"))
for (const [name, content] of Object.entries(contents)) {
  app.post(`/${name}/start`, (req, res) => {
    Object.assign(req.session, content.start)
    say(res, `${req.session.name} ${content.read(req.session)}`)
  })
  app.get(`/${name}/read`, (req, res) => {
    say(res, req.session.name ? `${req.session.name} ${content.read(req.session)}` : "none")
  })
  app.post(`/${name}/write`, (req, res) => {
    const value = content.write(req.session)
    say(res, `${small.name} ${value}`)
  })
}
app.post("/login", (req, res, next) => {
  const {cookie, ...values} = req.session
  req.session.regenerate((err) => { // a new ID; what the visitor had moves along
    if (err) return next(err)
    Object.assign(req.session, values, {user: "42"})
    say(res, "42")
  })
})
app.get("/user", (req, res) => say(res, req.session.user ?? "none"))
app.post("/logout", (req, res, next) => {
  req.session.destroy((err) => {
    if (err) return next(err)
    say(res, "bye")
  })
})

const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port))
