// Many connections of one process at once: `client_many_node.js GOOD CONDEMNED COUNT AT_ONCE [waves]`, the servers' ports,
// CONDEMNED 0: none there. COUNT to either, mixed, AT_ONCE open at a time; waves: the next ones when all of them have ended. Prints the same as client_many_blocking.py.
const https = require('https');

const [good, condemned, count, atOnce] = process.argv.slice(2, 6).map(Number);
const waves = process.argv[6] === 'waves';
const result = {good: [], failed: [], served: 0};
const waiting = [];
let open = 0;

function ended(port, begin, error) {
	if (port === good && error)
		result.failed.push(String(error));
	else if (port === good)
		result.good.push((performance.now() - begin) / 1000);
	else if (!error)
		result.served++;
	open--;
	if (!waves || !open)
		next();
}

function ask(port) {
	const begin = performance.now();
	let told = false;
	const once = (error) => { if (!told) { told = true; ended(port, begin, error); } };
	let text = '';
	const request = https.get({host: 'localhost', port, family: 4, path: '/', agent: false, timeout: 30000}, (response) => {
		response.on('data', (data) => { text += data; });
		response.on('error', once);
		response.on('end', () => once(text.includes('hello from the test server') ? null : 'answer: ' + text));
	});
	request.on('timeout', () => request.destroy(new Error('timeout')));
	request.on('error', once);
}

function next() {
	while (open < atOnce && waiting.length) {
		open++;
		ask(waiting.shift());
	}
	if (!open)
		console.log(JSON.stringify(result));
}

for (let i = 0; i < count; i++) {
	if (condemned)
		waiting.push(condemned);
	waiting.push(good);
}
next();
