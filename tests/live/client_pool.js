// A node client that keeps its connection in a pool: `client_pool.js PORT`. It asks once, and again for each line on standard
// input; prints what the server said, or `failed WHY`. The end of standard input ends it.
const https = require('https');
const readline = require('readline');

const pool = new https.Agent({keepAlive: true, maxSockets: 1});
function ask() {
	const request = https.get({host: 'localhost', port: Number(process.argv[2]), family: 4, path: '/', agent: pool},
		(response) => response.pipe(process.stdout, {end: false}));
	request.on('error', (error) => console.log('failed ' + error));
}

ask();
const lines = readline.createInterface({input: process.stdin});
lines.on('line', (line) => { if (line) ask(); });
lines.on('close', () => process.exit(0));
