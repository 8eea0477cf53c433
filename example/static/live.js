// Shows the orders as they come, until the server says that the session has ended.
const orders = document.getElementById('orders')
const state = document.getElementById('stream')
const again = 3000 // milliseconds
let stream

function connect() {
	stream = new EventSource('/api/live')
	stream.addEventListener('open', () => {
		state.textContent = 'connected'
		state.className = 'badge success'
	})
	stream.addEventListener('order', (event) => {
		const line = document.createElement('li')
		line.textContent = event.data
		orders.prepend(line)
		while (orders.children.length > 8) orders.lastChild.remove()
	})
	stream.addEventListener('ended', end)
	stream.addEventListener('error', () => {
		state.textContent = 'connecting again'
		state.className = 'badge'
		if (stream.readyState === EventSource.CLOSED) setTimeout(reconnect, again) // after a 503, the browser does not
	})
}

async function reconnect() {
	const answer = await fetch('/api/me').catch(() => null)
	if (answer?.status === 401) end()
	else connect()
}

function end() {
	stream.close()
	state.textContent = 'ended by the server: you are signed out'
	state.className = 'badge error'
}

addEventListener('pagehide', () => stream.close())
connect()
