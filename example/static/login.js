// A double click would sign in twice: the browser drops the first answer, with the new
// cookie in it, and the visitor's cart is lost.
const form = document.querySelector("form[action='/login']")
const button = form.querySelector('button')
form.addEventListener('submit', () => {
	button.disabled = true
	setTimeout(() => { button.disabled = false }, 5000) // the page stays if loading is stopped
})
addEventListener('pageshow', () => { button.disabled = false }) // after Back
