// Package devicebound holds the tests of Config.DeviceBound in a real browser: Chromium
// with keys in software.
package devicebound
