'use strict'

// Where a node is: from the environment, from names; and likely mistakes.

const assert = require('node:assert/strict')
const dns = require('node:dns').promises
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { optionsFromEnv } = require('../../lib/env')
const { readOptions } = require('../../lib/options')
const { Whereabouts, doubts } = require('../../lib/whereabouts')
const { fakeNode, settled } = require('./fake-node')

const KEY = 'ab'.repeat(32)
const LIB = path.join(__dirname, '..', '..', 'lib')

test('the environment holds options, and empty variables are ignored', () => {
  const env = {
    ...{ SMOKE_ADDRESS: '10.0.0.1', SMOKE_PORT: '9000', SMOKE_LISTEN: '[::]:8495' },
    ...{ SMOKE_SEEDS: 'a.example:1, [fd00::1]:2\tsrv:_smoke._tcp.example.org,', SMOKE_SECRET: KEY },
    SMOKE_SECRET_FILE: '',
  }
  const options = optionsFromEnv(env)
  const { address, port, listen, seeds } = readOptions(options)
  assert.deepEqual(
    { address, port, listen, seeds },
    {
      address: '10.0.0.1',
      port: 9000,
      listen: { host: '::', port: 8495 },
      seeds: [
        { address: 'a.example', port: 1 },
        { address: 'fd00::1', port: 2 },
        { address: 'srv:_smoke._tcp.example.org', port: 0 },
      ],
    },
  )
  assert.deepEqual(options.secret, Buffer.from(KEY, 'hex'))
  assert.deepEqual(optionsFromEnv({ SMOKE_PORT: '', OTHER: 'x' }), {})
  for (const [text, listen] of [
    [':8495', { host: null, port: 8495 }],
    ['127.0.0.1', { host: '127.0.0.1', port: null }],
    ['::1', { host: '::1', port: null }],
  ]) {
    assert.deepEqual(optionsFromEnv({ SMOKE_LISTEN: text }).listen, listen)
  }
})

test('a file of secrets has one per line: the next and the current one', (t) => {
  const file = path.join(fs.mkdtempSync(path.join(require('node:os').tmpdir(), 'smoke-')), 'secret')
  t.after(() => fs.rmSync(path.dirname(file), { recursive: true }))
  const read = (text) => {
    fs.writeFileSync(file, text)
    return optionsFromEnv({ SMOKE_SECRET_FILE: file }).secret
  }
  assert.equal(read('open sesame\r\n'), 'open sesame')
  assert.deepEqual(read(`${KEY}\nopen sesame\n`), [Buffer.from(KEY, 'hex'), 'open sesame'])
  const options = { name: 'RangeError', code: 'ERR_SMOKE_OPTION', option: 'SMOKE_SECRET_FILE' }
  for (const [text, message] of [
    ['\n', 'SMOKE_SECRET_FILE has no secret in it'],
    ['a\nb\nc', 'SMOKE_SECRET_FILE has 3 lines: one secret a line, two at most'],
    ['x'.repeat(5000), `SMOKE_SECRET_FILE has no secret in it: ${file} is larger than 4096 bytes`],
  ]) {
    assert.throws(() => read(text), { ...options, message })
  }
})

const BAD = [
  [{ SMOKE_PORT: '70000' }, 'SMOKE_PORT must be a port from 0 to 65535, not "70000"'],
  [
    { SMOKE_ADDRESS: 'a:b:c' },
    `SMOKE_ADDRESS must be an address such as '192.168.2.100', a host name or 'auto', not "a:b:c"`,
  ],
  [
    { SMOKE_LISTEN: 'no where' },
    `SMOKE_LISTEN must look like '127.0.0.1:8495', '[::]:8495', ':8495' or an address, not "no where"`,
  ],
  [
    { SMOKE_LISTEN: 'localhost:1' },
    `SMOKE_LISTEN must be an IP address of this machine, '0.0.0.0' (IPv4 only) or '::' (IPv6 only), not "localhost"`,
  ],
  [
    { SMOKE_SEEDS: 'a:1,b' },
    `SMOKE_SEEDS must be 'host:8495', '[::1]:8495' or 'srv:_smoke._tcp.example.org', not "b"`,
  ],
  [
    { SMOKE_SECRET: 'x', SMOKE_SECRET_FILE: 'y' },
    'SMOKE_SECRET_FILE is set, and so is SMOKE_SECRET: set one of them',
  ],
  [{ SMOKE_SECRET_FILE: '/no/such/file' }, /^SMOKE_SECRET_FILE cannot be read: ENOENT/],
]

for (const [env, message] of BAD) {
  test(`an error names the bad variable: ${JSON.stringify(env)}`, () => {
    const option = Object.keys(env).at(-1)
    assert.throws(() => optionsFromEnv(env), { code: 'ERR_SMOKE_OPTION', option, message })
  })
}

test('only optionsFromEnv reads the environment', () => {
  const files = fs.readdirSync(LIB, { recursive: true }).filter((file) => file.endsWith('.js'))
  const readers = files.filter((file) => {
    return /\benv\b(?!')/.test(fs.readFileSync(path.join(LIB, file), 'utf8'))
  })
  // The generated loader of the addon accepts another path.
  assert.deepEqual(readers.filter((file) => file !== 'binding.js').sort(), ['env.js'])
})

/** The warnings about `options` on a machine with these addresses. */
function doubted(options, place = {}, own = ['127.0.0.1', '10.0.0.1', 'fd00::1']) {
  const read = readOptions(options)
  const { address, seeds, listen } = read
  return doubts(read, { address, seeds, listenHost: listen.host ?? undefined, ...place }, own)
}

const DOUBTS = [
  [
    { address: '0.0.0.0' },
    `"address" option is 0.0.0.0, which no other node can dial: give the address that others reach, or 'auto'`,
  ],
  [
    { address: '127.0.0.1', seeds: ['10.0.0.2:1'] },
    `"address" option is 127.0.0.1, which only this machine reaches, but seeds are elsewhere: give another address, or 'auto'`,
  ],
  [
    { address: '10.0.0.9' },
    '"address" option is 10.0.0.9, which is no address of this machine: if another machine forwards connections to this one, set "listen"',
  ],
  [
    { address: '10.0.0.1', listen: { host: '127.0.0.1' } },
    '"listen.host" option is 127.0.0.1: others reach 10.0.0.1 only if something on this machine forwards it',
  ],
  [
    { address: '10.0.0.1', listen: { host: '::' } },
    '"listen.host" option is ::, IPv6 only, but "address" is 10.0.0.1',
  ],
  [
    { address: '10.0.0.1', seeds: ['0.0.0.0:8495'] },
    'the seed 0.0.0.0:8495 cannot be dialled: give the address of the seed',
  ],
]

for (const [options, doubt] of DOUBTS) {
  test(`a likely mistake causes a warning: ${JSON.stringify(options)}`, () => {
    assert.deepEqual(doubted(options), [doubt])
  })
}

test('only public addresses that were chosen cause a warning, of the whole range', () => {
  const isWarned = (address) => doubted({ address: 'auto' }, { address }, [address]).length > 0
  const own = ['10.0.0.0', '10.255.255.255', '172.16.0.1', '172.31.255.255', '192.168.0.1']
  own.push('127.0.0.1', '127.255.255.255', '169.254.1.1', '::1', 'fc00::1', 'fdff::1', 'fe80::1')
  own.push('febf::1')
  assert.deepEqual(own.filter(isWarned), [])
  const others = ['9.255.255.255', '11.0.0.0', '172.15.255.255', '172.32.0.0', '192.167.255.255']
  others.push('100.64.0.1', '128.0.0.1', '169.253.0.1', '2001:db8::fe80', 'fec0::1', 'fb00::1')
  others.push('::2', 'fe8::1', 'fc::1')
  assert.deepEqual(others.filter(isWarned), others)
})

test('a chosen public address causes a warning, and correct options do not', () => {
  assert.deepEqual(doubted({ address: 'auto' }, { address: '192.0.2.7' }, ['192.0.2.7']), [
    `"address" option is 'auto', which chose the public address 192.0.2.7`,
  ])
  for (const options of [
    { address: '127.0.0.1', seeds: ['localhost:1', '[::1]:2', '127.0.0.2:3'] },
    { address: '10.0.0.1', seeds: ['10.0.0.2:1'], listen: { host: '0.0.0.0' } },
    { address: '10.0.0.9', port: 9000, listen: { port: 8495 } },
    { address: 'node.example' },
  ]) {
    assert.deepEqual(doubted(options), [])
  }
  assert.deepEqual(doubted({ address: 'auto' }, { address: '10.0.0.1' }), [])
})

/** How a machine with these routes, from seed to own address, resolves `options`. */
async function found(options, routes = {}, own = ['127.0.0.1', '::1']) {
  const warnings = []
  const logger = { warn: (line) => warnings.push(line) }
  const whereabouts = new Whereabouts(
    (host) => routes[host] ?? null,
    logger,
    () => own,
  )
  return { ...(await whereabouts.find(readOptions(options))), warnings }
}

test("'auto' is the address of the route to the first seed, or to the world, or loopback", async () => {
  const address = 'auto'
  const seeds = ['10.1.0.1:1', '10.2.0.1:2']
  const routes = { '10.1.0.1': '10.1.0.9', '10.2.0.1': '10.2.0.9', '192.0.2.1': '10.3.0.9' }
  const chosen = async (...args) => {
    const { address, listenHost, warnings } = await found(...args)
    return [address, listenHost, warnings.length]
  }
  assert.deepEqual(await chosen({ address, seeds }, routes), ['10.1.0.9', undefined, 0])
  assert.deepEqual(await chosen({ seeds }, routes), ['10.1.0.9', undefined, 0])
  assert.deepEqual(await chosen({ address }, routes), ['10.3.0.9', undefined, 0])
  const lonely = await found({ address, seeds: ['10.9.0.1:1'] }, routes)
  assert.equal(lonely.address, '10.3.0.9')
  assert.deepEqual(lonely.warnings, [
    'no interface leads to a seed: chose 10.3.0.9; set the option "address"',
  ])
  assert.deepEqual(await chosen({ address }), ['127.0.0.1', '127.0.0.1', 0])
  const local = { '127.0.0.1': '127.0.0.1' }
  assert.deepEqual(await chosen({ seeds: ['127.0.0.1:1'] }, local), ['127.0.0.1', '127.0.0.1', 0])
  const listen = { host: '10.2.0.9' }
  assert.deepEqual(await chosen({ address, seeds, listen }, routes), ['10.2.0.9', '10.2.0.9', 0])
  const v6 = { ...routes, '2001:db8::1': 'fd00::9' }
  assert.deepEqual(await chosen({ listen: { host: '::' } }, v6), ['fd00::9', '::', 0])
})

test("without a route to the world, 'auto' is the machine's only address", async () => {
  const place = async (own, options) => {
    const { address, warnings } = await found({ address: 'auto', ...options }, {}, own)
    return [address, ...warnings]
  }
  const here = ['127.0.0.1', '::1', '169.254.3.4', 'fe80::1']
  assert.deepEqual(await place([...here, '172.18.0.2', 'fd00::2']), ['172.18.0.2'])
  assert.deepEqual(await place([...here, 'fd00::2']), ['fd00::2'])
  const six = { listen: { host: '::' } }
  assert.deepEqual(await place([...here, '172.18.0.2', 'fd00::2'], six), ['fd00::2'])
  assert.deepEqual(await place(here), ['127.0.0.1'])
  assert.deepEqual(await place([...here, '172.18.0.2', '172.19.0.2']), [
    '127.0.0.1',
    'this machine has several addresses: set the option "address" (172.18.0.2, 172.19.0.2)',
  ])
})

test('a DNS list resolves to its nodes, by priority; a missing answer causes one warning', async (t) => {
  const seeds = ['srv:_smoke._tcp.example.org', '10.0.0.2:2']
  const answers = [
    { name: 'late.example.', port: 3, priority: 20, weight: 0 },
    { name: 'first.example.', port: 1, priority: 10, weight: 5 },
    { name: 'no host', port: 1, priority: 10, weight: 0 },
    { name: '', port: 1, priority: 10, weight: 0 },
  ]
  const asked = t.mock.method(dns, 'resolveSrv', async () => answers)
  const { seeds: nodes } = await found({ address: '10.0.0.1', seeds })
  assert.deepEqual(asked.mock.calls[0].arguments, ['_smoke._tcp.example.org'])
  assert.deepEqual(nodes, [
    { address: 'first.example', port: 1 },
    { address: 'late.example', port: 3 },
    { address: '10.0.0.2', port: 2 },
  ])
  asked.mock.mockImplementation(async () => {
    throw Object.assign(new Error('no'), { code: 'ENOTFOUND' })
  })
  const warnings = []
  const whereabouts = new Whereabouts(() => null, { warn: (line) => warnings.push(line) })
  const options = readOptions({ address: '10.0.0.1', seeds })
  for (let time = 0; time < 2; time++) {
    assert.deepEqual((await whereabouts.find(options)).seeds, options.seeds)
  }
  assert.deepEqual(warnings, [
    'the name srv:_smoke._tcp.example.org has no address (ENOTFOUND): check it, and the DNS server',
  ])
})

test('a name as the address is resolved, and a seed of that name is this node', async (t) => {
  const lookup = t.mock.method(dns, 'lookup', async () => [
    { address: 'fd00::7', family: 6 },
    { address: '::ffff:10.0.0.7', family: 6 },
  ])
  const place = await found({
    address: 'me.example',
    port: 1,
    seeds: ['ME.example:1', 'it.example:1'],
  })
  assert.equal(place.address, '10.0.0.7')
  assert.deepEqual(place.seeds, [
    { address: '10.0.0.7', port: 1 },
    { address: 'it.example', port: 1 },
  ])
  lookup.mock.mockImplementation(async () => [])
  const { address, warnings } = await found({ address: 'me.example' })
  assert.equal(address, 'me.example')
  assert.match(warnings[0], /^the name me.example has no address/)
})

test('a node that waits for the DNS can be stopped, and started again', async (t) => {
  let answer
  t.mock.method(dns, 'lookup', () => new Promise((resolve) => (answer = resolve)))
  const { node, native } = fakeNode({ address: 'me.example' })
  const failed = assert.rejects(node.start(), { code: 'ERR_SMOKE_STOPPED' })
  await node.stop()
  await failed
  answer([{ address: '10.0.0.7', family: 4 }])
  await settled()
  assert.deepEqual(native.calls, [])
  node.start()
  // By now it resolves the name again.
  await settled()
  answer([{ address: '10.0.0.8', family: 4 }])
  await settled()
  const [call, { address }] = native.calls[0]
  assert.deepEqual([call, address], ['start', '10.0.0.8'])
  native.push({ t: 'stopped' })
  await node.stop()
})

test("the options hold the address chosen for 'auto', and each start chooses again", async () => {
  const { node, native } = fakeNode({ address: 'auto' })
  for (const turn of [1, 2]) {
    node.start()
    assert.equal(native.calls.at(-1)[1].address, '127.0.0.1', `start ${turn}`)
    assert.equal(native.calls.at(-1)[1].listenHost, '127.0.0.1')
    assert.equal(node.options.address, '127.0.0.1')
    native.push({ t: 'listening', port: 4000 }, { t: 'stopped' })
    await node.stop()
  }
})
