// The node client: `client_node.js PORT 4|6 verify|off`. Prints what the server said; exit 1 on any error.
const https = require('https');

// The family is named: before version 20, node tries only the first address of a name.
const options = {host: 'localhost', port: Number(process.argv[2]), family: Number(process.argv[3]), path: '/', agent: false,
	timeout: 15000, rejectUnauthorized: process.argv[4] !== 'off'};
const request = https.get(options, (response) => {
	response.pipe(process.stdout);
	response.on('error', (error) => { console.error(String(error)); process.exit(1); });
});
request.on('timeout', () => request.destroy(new Error('timeout')));
request.on('error', (error) => { console.error(String(error)); process.exit(1); });
