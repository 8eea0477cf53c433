// Serves the scripts that the pages of the tests load.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const esbuild = require('esbuild');

const file = (name) => fs.readFileSync(path.join(process.env.NODE_PATH, name));

const scripts = {
  '/htmx2.js': file('htmx2/dist/htmx.js'),
  '/htmx4.js': file('htmx4/dist/htmx.js'),
  '/turbo.js': file('@hotwired/turbo/dist/turbo.es2017-umd.js'),
  '/inertia.js': esbuild.buildSync({
    stdin: { contents: 'export { router } from "@inertiajs/core"', resolveDir: path.dirname(process.env.NODE_PATH) },
    bundle: true, write: false, format: 'iife', globalName: 'Inertia',
  }).outputFiles[0].contents,
};

const server = http.createServer((req, res) => {
  res.writeHead(scripts[req.url] ? 200 : 404, { 'Content-Type': 'text/javascript' });
  res.end(scripts[req.url]);
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
