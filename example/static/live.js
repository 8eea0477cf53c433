// Shows the orders as they come, until the server says that the session has ended.
const orders = document.getElementById('orders')
const state = document.getElementById('stream')
const stream = new EventSource('/api/live')

stream.addEventListener('open', () => {
	state.textContent = 'connected'
	state.classList.add('success')
})
stream.addEventListener('order', (event) => {
	const line = document.createElement('li')
	line.textContent = event.data
	orders.prepend(line)
	while (orders.children.length > 8) orders.lastChild.remove()
})
stream.addEventListener('ended', () => {
	stream.close()
	state.textContent = 'ended by the server: you are signed out'
	state.classList.replace('success', 'error')
})
stream.addEventListener('error', () => {
	if (stream.readyState !== EventSource.CLOSED) state.textContent = 'connecting again'
})
addEventListener('pagehide', () => stream.close())
