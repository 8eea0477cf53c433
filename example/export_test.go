package main

var (
	NewRouter = newRouter
	Run       = run
	Address   = address
)
