// Back after a sign-out can show a page as it was left, from the browser's memory, though
// the page is no-store: nothing is sent then. So such a page is loaded again.
addEventListener('pageshow', (event) => {
	if (event.persisted) location.reload()
})
