// Shows how long the session will last, warns a minute before it ends, and says
// when it has ended. It asks the server, which does not keep the session alive.
const warnBefore = 60 // seconds
const askEvery = 20
const find = (id) => document.getElementById(id)
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' })
const ends = {} // idle and end, in the time of performance.now()
let asked = -Infinity
let over = ''

async function ask() {
	asked = performance.now()
	let answer
	try {
		answer = await (await fetch('/api/countdown')).json()
	} catch {
		return // the server cannot be reached: ask again later
	}
	if (over && answer.remaining_seconds !== undefined) {
		location.replace('/') // somebody has signed in by another tab; reloading would send a form again as another user
		return
	}
	if (answer.remaining_seconds !== undefined) {
		ends.idle = performance.now() + answer.remaining_seconds * 1000
		ends.end = performance.now() + answer.at_most_seconds * 1000
		const expires = find('expires') // on the account page
		if (expires) {
			expires.dateTime = answer.expires_at
			expires.textContent = `${day.format(new Date(answer.expires_at))}, ${answer.expires_at.slice(11, 19)} UTC`
		}
	} else if (answer.ended !== 'unavailable') {
		const expired = answer.ended === 'expired' || ends.idle <= performance.now() // the cookie may have gone with it
		over = expired ? 'Your session has expired.' : 'You are signed out on this device.'
	}
	show()
}

function show() {
	const left = (at) => over ? 0 : Math.max(0, (at - performance.now()) / 1000)
	if (ends.idle === undefined && !over) return
	for (const clock of document.querySelectorAll('[data-clock]')) clock.textContent = spell(left(ends[clock.dataset.clock]))
	const idle = left(ends.idle)
	const final = over !== '' || ends.end <= ends.idle + 1000 // use does not move it on
	find('stay').hidden = final
	find('again').hidden = !final
	find('expiry').hidden = idle > warnBefore
	find('expiry').classList.toggle('error', over !== '')
	find('expiry-left').textContent = over ? '' : spell(idle)
	const text = over || 'Your session ends in less than a minute.'
	const line = find('expiry-text') // an alert: what is written is announced, so it is written once
	if (idle <= warnBefore && line.textContent !== text) line.textContent = text
	if (idle > warnBefore) line.textContent = ''
	if (!over && performance.now() - asked > (idle > 0 ? askEvery : 1) * 1000) ask()
}

function spell(seconds) {
	const two = (n) => String(Math.floor(n)).padStart(2, '0')
	const days = Math.floor(seconds / 86400)
	return (days ? `${days} d ` : '') + `${two(seconds % 86400 / 3600)}:${two(seconds % 3600 / 60)}:${two(seconds % 60)}`
}

find('stay').addEventListener('submit', async (event) => {
	event.preventDefault()
	await fetch('/account/stay', { method: 'POST', redirect: 'manual' }).catch(() => {})
	ask()
})
document.addEventListener('visibilitychange', () => document.hidden || ask())
setInterval(show, 1000)
ask()
