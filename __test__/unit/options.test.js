'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { readId, readOptions } = require('../../lib/options')
const { fakeNode } = require('./fake-node')

const address = '127.0.0.1'

test('defaults are those of 0.x, and the port is optional', () => {
  const { logger, ...options } = readOptions({ address })
  assert.deepEqual(options, {
    address,
    port: 0,
    listen: { host: null, port: null },
    minPeerNo: 3,
    maxPeerNo: 5,
    seeds: [],
    network: null,
    pingTimeout: 3000,
    maxMessageSize: 4 * 1024 * 1024,
    slowReceivers: 'wait',
    slowReceiverTimeout: 10_000,
    allow: [],
    limits: {
      handshakeTimeout: 5000,
      dialTimeout: 3000,
      maxUnconnected: 256,
      maxUnconnectedPerAddress: 4,
      connectionsPerSecond: 1000,
      handshakesPerSecond: 200,
      queuePerPeer: 8 * 1024 * 1024,
      maxDials: 8,
      dialsPerSecond: 4,
      peerRequestsPerSecond: 10,
      pongsPerSecond: 10,
      relayedBytesPerSecond: 128 * 1024 * 1024,
      repairBytes: 32 * 1024 * 1024,
      maxMembers: 16_384,
      maxShortcuts: 16,
      maxRequests: 16_384,
      maxHandled: 4096,
      maxHandledPerNode: 1024,
    },
    members: true,
    meta: undefined,
  })
  assert.deepEqual(Object.keys(logger), ['trace', 'debug', 'info', 'warn', 'error', 'fatal'])
})

test('an omitted number of peers follows from the given one', () => {
  const numbers = (given) => {
    const { minPeerNo, maxPeerNo } = readOptions({ address, ...given })
    return [minPeerNo, maxPeerNo]
  }
  assert.deepEqual(numbers({ minPeerNo: 10 }), [10, 10])
  assert.deepEqual(numbers({ maxPeerNo: 2 }), [2, 2])
  assert.deepEqual(numbers({ minPeerNo: 0 }), [0, 5])
  assert.deepEqual(numbers({ maxPeerNo: Infinity }), [3, Infinity])
})

test('ports may be written as strings, like for net', () => {
  const options = { address, port: '8080', seeds: [{ address: 'seed.example', port: '13' }] }
  const { port, seeds } = readOptions(options)
  assert.deepEqual({ port, seeds }, { port: 8080, seeds: [{ address: 'seed.example', port: 13 }] })
})

test('all numbers may be written as strings', () => {
  const { limits, ...options } = readOptions({
    ...{ address, minPeerNo: '2', maxPeerNo: 'Infinity', pingTimeout: '1000' },
    ...{ maxMessageSize: '2048', limits: { maxDials: '9', dialsPerSecond: '0.5' } },
  })
  const { minPeerNo, maxPeerNo, pingTimeout, maxMessageSize } = options
  assert.deepEqual([minPeerNo, maxPeerNo, pingTimeout, maxMessageSize], [2, Infinity, 1000, 2048])
  assert.deepEqual([limits.maxDials, limits.dialsPerSecond], [9, 0.5])
})

test('values that meant the default in 0.x still do', () => {
  const { logger, ...options } = readOptions({ address })
  for (const nothing of [false, null, undefined, 0, '']) {
    const given = { address, seeds: nothing, logger: nothing, pingTimeout: nothing || 0 }
    const { logger: silent, ...read } = readOptions({ ...given, maxPeerNo: 0 })
    assert.deepEqual(read, options)
    assert.deepEqual(Object.keys(silent), Object.keys(logger))
  }
})

test('bad values that 0.x accepted cause a warning', () => {
  const warnings = []
  const { seeds } = readOptions({
    address,
    maxPeerNo: 0,
    seeds: [{ port: 0, address: '127.0.0.1' }, { port: 14 }, { address: 'seed.example', port: 15 }],
    logger: { warn: (message) => warnings.push(message) },
  })
  assert.deepEqual(seeds, [
    { address: 'localhost', port: 14 },
    { address: 'seed.example', port: 15 },
  ])
  assert.deepEqual(warnings, [
    '"maxPeerNo" option is 0: the default is used',
    '"seeds[0].port" option is 0: this seed is left out, as nothing can listen there',
    '"seeds[1].address" option is not set: localhost is used',
  ])
})

test('an IPv6 address of a seed may be in brackets, as in URLs', () => {
  const { seeds } = readOptions({ address, seeds: [{ address: '[::1]', port: 13 }] })
  assert.deepEqual(seeds, [{ address: '::1', port: 13 }])
})

test('seeds may be written as texts, and each address in one way only', () => {
  const seeds = [
    ...['seed.example:13', '[FD00:0::1]:14', '127.0.0.1:15', '[::ffff:10.0.0.1]:16'],
    ...[{ address: '::FFFF:10.0.0.2', port: 17 }, 'srv:_smoke._tcp.example.org'],
  ]
  const read = readOptions({ address: '[FD00:0:0::2]', seeds })
  assert.equal(read.address, 'fd00::2')
  assert.deepEqual(read.seeds, [
    { address: 'seed.example', port: 13 },
    { address: 'fd00::1', port: 14 },
    { address: '127.0.0.1', port: 15 },
    { address: '10.0.0.1', port: 16 },
    { address: '10.0.0.2', port: 17 },
    { address: 'srv:_smoke._tcp.example.org', port: 0 },
  ])
  assert.deepEqual(readOptions(read).seeds, read.seeds)
})

test('without an address a node takes the one on the route to its seeds, or stays on its machine', () => {
  const read = (options) => {
    const { address, listen } = readOptions(options)
    return [address, listen.host]
  }
  assert.deepEqual(read(undefined), ['127.0.0.1', '127.0.0.1'])
  assert.deepEqual(read({ seeds: ['10.0.0.1:8495'] }), ['auto', null])
  assert.deepEqual(read({ listen: { host: '0.0.0.0' } }), ['auto', '0.0.0.0'])
  assert.deepEqual(read({ address }), [address, null])
})

test('unknown options are ignored, and the given object is left alone', () => {
  const options = Object.freeze({ address, colour: 'red', logger: Object.freeze({}) })
  assert.equal('colour' in readOptions(options), false)
})

const BAD = [
  [null, TypeError, 'options', 'options must be an object, not null'],
  ['here', TypeError, 'options', 'options must be an object, not "here"'],
  [{ address: '' }, TypeError, 'address'],
  [{ address: 'a b' }, TypeError, 'address'],
  [
    { address: '10.0.0.256' },
    TypeError,
    'address',
    `"address" option must be an address such as '192.168.2.100', a host name or 'auto', not "10.0.0.256"`,
  ],
  [
    { address: '10.0.0.1:8495' },
    TypeError,
    'address',
    '"address" option must not have a port, as "10.0.0.1:8495" has: give it by the option "port"',
  ],
  [{ address: 'tcp://10.0.0.1' }, TypeError, 'address'],
  [
    { address: '224.0.0.1' },
    RangeError,
    'address',
    '"address" option must be the address of one node; 224.0.0.1 is a multicast or broadcast address',
  ],
  [
    { address, listen: 8495 },
    TypeError,
    'listen',
    '"listen" option must be {host, port}, not 8495',
  ],
  [
    { address, listen: { host: 'localhost' } },
    TypeError,
    'listen.host',
    `"listen.host" option must be an IP address of this machine, '0.0.0.0' (IPv4 only) or '::' (IPv6 only), not "localhost"`,
  ],
  [{ address, listen: { port: 'http' } }, TypeError, 'listen.port'],
  [
    { address, listen: { port: 65536 } },
    RangeError,
    'listen.port',
    '"listen.port" option must be from 0 to 65535, not 65536',
  ],
  [
    { address, port: 9000, listen: { port: 0 } },
    RangeError,
    'listen.port',
    '"listen.port" option must be a fixed port: port 9000 cannot be forwarded to any free port',
  ],
  [{ address: 127 }, TypeError, 'address'],
  [{ address, port: NaN }, RangeError, 'port', '"port" option must be from 0 to 65535, not NaN'],
  [{ address, port: -1 }, RangeError, 'port'],
  [{ address, port: 65536 }, RangeError, 'port'],
  [{ address, port: 1.5 }, RangeError, 'port', '"port" option must be an integer, not 1.5'],
  [{ address, port: 'http' }, TypeError, 'port', '"port" option must be a number, not "http"'],
  [{ address, port: {} }, TypeError, 'port'],
  [{ address, minPeerNo: -1 }, RangeError, 'minPeerNo'],
  [{ address, minPeerNo: 0.5 }, RangeError, 'minPeerNo'],
  [{ address, minPeerNo: Infinity }, RangeError, 'minPeerNo'],
  [
    { address, maxPeerNo: -1 },
    RangeError,
    'maxPeerNo',
    '"maxPeerNo" option must be at least 1, not -1',
  ],
  [{ address, minPeerNo: '3x' }, TypeError, 'minPeerNo'],
  [{ address, limits: { maxDials: 'eight' } }, TypeError, 'limits.maxDials'],
  [{ address, seeds: [{ address: '', port: 14 }] }, TypeError, 'seeds[0].address'],
  [
    { address, seeds: 'all' },
    TypeError,
    'seeds',
    `"seeds" option must be an array such as ['host:8495'], not "all"`,
  ],
  [
    { address, seeds: ['10.0.0.1'] },
    TypeError,
    'seeds[0]',
    `"seeds[0]" option must be 'host:8495', '[::1]:8495' or 'srv:_smoke._tcp.example.org', not "10.0.0.1"`,
  ],
  [
    { address, seeds: ['fd00::1'] },
    TypeError,
    'seeds[0]',
    `"seeds[0]" option must be 'host:8495', '[::1]:8495' or 'srv:_smoke._tcp.example.org', not "fd00::1": an IPv6 address needs brackets and a port`,
  ],
  [{ address, seeds: ['host:65536'] }, TypeError, 'seeds[0]'],
  [{ address, seeds: ['http://host:8495'] }, TypeError, 'seeds[0]'],
  [
    { address, seeds: ['srv:example.org'] },
    TypeError,
    'seeds[0]',
    `"seeds[0]" option must look like 'srv:_smoke._tcp.example.org', not "srv:example.org"`,
  ],
  [{ address, seeds: [{ address: '10.0.0.1:1', port: 14 }] }, TypeError, 'seeds[0].address'],
  [{ address, seeds: [{ address: '255.255.255.255', port: 14 }] }, RangeError, 'seeds[0].address'],
  [{ address, maxPeerNo: NaN }, RangeError, 'maxPeerNo'],
  [{ address, maxPeerNo: true }, TypeError, 'maxPeerNo'],
  [
    { address, minPeerNo: 6, maxPeerNo: 5 },
    RangeError,
    'minPeerNo',
    '"minPeerNo" option (6) must not be greater than "maxPeerNo" (5)',
  ],
  [{ address, seeds: {} }, TypeError, 'seeds'],
  [{ address, allow: '10.0.0.0/8' }, TypeError, 'allow'],
  [{ address, allow: ['10.0.0.0/8', 10] }, TypeError, 'allow[1]'],
  [{ address, allow: ['10.0.0.0/33'] }, RangeError, 'allow[0]'],
  [{ address, allow: ['fd00::/129'] }, RangeError, 'allow[0]'],
  [{ address, allow: ['example.org'] }, RangeError, 'allow[0]'],
  [{ address, limits: null }, TypeError, 'limits'],
  [{ address, limits: { maxDials: 0 } }, RangeError, 'limits.maxDials'],
  [{ address, limits: { maxDials: 1.5 } }, RangeError, 'limits.maxDials'],
  [{ address, limits: { dialsPerSecond: NaN } }, RangeError, 'limits.dialsPerSecond'],
  [
    { address, limits: { maxPeers: 5 } },
    RangeError,
    'limits.maxPeers',
    '"limits" option has no limit "maxPeers"',
  ],
  [{ address, seeds: [null] }, TypeError, 'seeds[0]'],
  [{ address, seeds: [{ address, port: 14 }, 'x'] }, TypeError, 'seeds[1]'],
  [{ address, seeds: [{ address }] }, TypeError, 'seeds[0].port'],
  [{ address, pingTimeout: Infinity }, RangeError, 'pingTimeout'],
  [{ address, pingTimeout: '1s' }, TypeError, 'pingTimeout'],
  [{ address, maxMessageSize: 10 }, RangeError, 'maxMessageSize'],
  [{ address, network: 7 }, TypeError, 'network'],
  [{ address, network: '' }, RangeError, 'network'],
  [{ address, network: 'x'.repeat(65) }, RangeError, 'network'],
  [{ address, logger: 'console' }, TypeError, 'logger'],
]

for (const [options, Type, option, message] of BAD) {
  test(`an error names the bad option: ${show(options)}`, () => {
    assert.throws(
      () => readOptions(options),
      (error) => {
        assert.equal(error.constructor, Type)
        assert.equal(error.code, 'ERR_SMOKE_OPTION')
        assert.equal(error.option, option)
        assert.match(error.message, /option/)
        if (message !== undefined) assert.equal(error.message, message)
        return true
      },
    )
  })
}

function show(options) {
  return JSON.stringify(options, (_, value) => (typeof value === 'number' ? String(value) : value))
}

test('an id is any text, or a number, and is chosen before the start', () => {
  const { node, native } = fakeNode()
  assert.match(node.id, /^[0-9a-z]{2,}$/)
  node.id = 'a_node.of=mine'
  const odd = ['a-b', 'a"b', 'a\\b', 'Mathew Franqui', 'é', 'tab\t', 'x'.repeat(512)]
  for (const id of odd) assert.equal(readId(id), id)
  assert.equal(readId(42), '42')
  for (const bad of ['', 'x'.repeat(513), 'é'.repeat(257), '\ud800']) {
    assert.throws(() => readId(bad), { name: 'RangeError', code: 'ERR_SMOKE_OPTION', option: 'id' })
  }
  for (const bad of [undefined, Number.NaN, {}]) {
    assert.throws(() => readId(bad), { name: 'TypeError', code: 'ERR_SMOKE_OPTION', option: 'id' })
  }
  node.start()
  assert.equal(native.calls[0][1].id, 'a_node.of=mine')
  assert.throws(
    () => {
      node.id = 'another'
    },
    { code: 'ERR_SMOKE_RUNNING' },
  )
  assert.equal(node.id, 'a_node.of=mine')
  native.push({ t: 'stopped' })
  return node.stop()
})

test('generated ids differ', () => {
  const ids = Array.from({ length: 100 }, () => fakeNode().node.id)
  assert.equal(new Set(ids).size, 100)
})

test('the logger gets its own levels, as calls of its methods', async () => {
  class Logger {
    #lines = []
    info(line) {
      this.#lines.push(line)
    }
    fatal(line) {
      this.#lines.push(`fatal: ${line}`)
    }
    get lines() {
      return this.#lines
    }
  }
  const logger = new Logger()
  const { node, native } = fakeNode({ logger })
  const started = node.start()
  assert.equal(native.calls[0][1].logLevels, 4 + 32)
  native.push({ t: 'log', level: 'info', message: 'one' })
  native.push({ t: 'log', level: 'fatal', message: 'two' }, { t: 'listening', port: 1 })
  await started
  assert.deepEqual(logger.lines, ['one', 'fatal: two'])
  node.logger.debug('there is such a method')
  assert.equal(logger.debug, undefined)
  native.push({ t: 'stopped' })
  await node.stop()
})
