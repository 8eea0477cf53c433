package sqlstore_test

const childFile = "SQLSTORE_TEST_CHILD_FILE"

func child(string) {}
