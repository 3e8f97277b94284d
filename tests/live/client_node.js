// The node client: `client_node.js PORT verify|off`. Prints what the server said; exit 1 on any error.
const https = require('https');

const options = {host: 'localhost', port: Number(process.argv[2]), path: '/', agent: false, timeout: 15000,
	rejectUnauthorized: process.argv[3] !== 'off'};
const request = https.get(options, (response) => {
	response.pipe(process.stdout);
	response.on('error', (error) => { console.error(String(error)); process.exit(1); });
});
request.on('timeout', () => request.destroy(new Error('timeout')));
request.on('error', (error) => { console.error(String(error)); process.exit(1); });
