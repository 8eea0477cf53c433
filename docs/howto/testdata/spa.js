function call(method, url) {
	return fetch(url, { method, credentials: "include" }); // without it no cookie is sent, and none is kept
}
