package main

// What the tests call by its name outside.
var (
	NewRouter = newRouter
	CartKey   = cart
)
