package main

var (
	NewRouter = newRouter
	Run       = run
	Address   = address
	OpenStore = openStore
	MySQLDSN  = mysqlDSN
)
