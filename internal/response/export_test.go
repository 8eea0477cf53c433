package response

var RecoversBehind = recoversBehind
