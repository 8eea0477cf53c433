// Screen readers announce what changes in a page. The flash messages came with it,
// so they are taken out and put back.
const messages = document.getElementById('flashes')
const texts = [...messages.children].map((message) => [message, message.textContent])
for (const [message] of texts) message.textContent = ' '
setTimeout(() => {
	for (const [message, text] of texts) message.textContent = text
})
