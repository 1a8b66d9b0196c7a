'use strict'

// Twenty processes on twenty hosts, in configurations that people have: they become one network, and
// nothing happens in it as long as nothing changes.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { isTogether } = require('../support/graph')
const { Lan, unavailable } = require('../support/namespaces')
const { Program, RemoteNode, killAll } = require('../support/process')
const { Watched } = require('../support/wait')

const COUNT = 20
const PORT = 8495
const ADDRESSES = Array.from({ length: COUNT }, (_, host) => `10.20.0.${host + 1}`)
const seedsAt = (...hosts) => hosts.map((host) => ({ address: ADDRESSES[host], port: PORT }))
const all = ADDRESSES.map((_, host) => host)
/** For becoming one network. */
const PATIENCE = 30_000
/** How long nothing must happen. This is what is tested, not a pause. */
const REST = 15_000
/** For coming to rest afterwards. */
const SETTLED_WITHIN = 40_000
const BALANCER = `10.20.0.${COUNT + 1}`
const ODD_IDS = ['Mathew Franqui', 'Jürgen', 'a"b', 'x'.repeat(80), 42, '日本']

/**
 * A load balancer: each connection goes to one of the hosts, whichever accepts it.
 * `node -e FORWARDER port host host ...`
 */
const FORWARDER = `
const net = require('node:net')
const [port, ...hosts] = process.argv.slice(1)
const pick = () => hosts[Math.floor(Math.random() * hosts.length)]
const lead = (near) => {
  const far = net.connect(Number(port), pick())
  far.once('error', () => near.destroyed || setTimeout(lead, 10, near))
  far.once('connect', () => {
    far.removeAllListeners('error').on('error', () => near.destroy())
    near.on('error', () => far.destroy()).on('close', () => far.destroy())
    far.on('close', () => near.destroy())
    near.pipe(far).pipe(near)
  })
}
const server = net.createServer((near) => lead(near.on('error', () => {})))
server.listen(Number(port), '0.0.0.0', () => console.log('forwards'))
`

/** By name: the options of each host, and which hosts start later or not at all. */
const CONFIGURATIONS = {
  'every host is a seed of all': { options: () => ({ seeds: seedsAt(...all) }) },
  'three seeds': { options: () => ({ seeds: seedsAt(0, 1, 2) }) },
  'a seed that is down for good': {
    options: () => ({ seeds: seedsAt(0, 1) }),
    never: (host) => host === 1,
  },
  'a seed that comes later, with half of the nodes': {
    options: (host) => ({ seeds: host < 10 ? seedsAt(0, 10) : seedsAt(10) }),
    later: (host) => host >= 10,
  },
  'one address of a load balancer': {
    options: () => ({ seeds: [{ address: BALANCER, port: PORT }] }),
  },
  'six leaves of one link': {
    options: (host) => ({
      seeds: seedsAt(0),
      ...(host % 3 === 1 && host < 18 && { maxPeerNo: 1 }),
    }),
  },
  'a third of the nodes gives an address where nobody is': {
    options: (host) => ({
      seeds: seedsAt(0),
      ...(host % 3 === 1 && { address: `10.20.0.${100 + host}` }),
    }),
  },
}

class Hosts extends Watched {
  nodes = []

  dump() {
    return this.nodes.map((node) => node.dump()).join('\n----\n')
  }

  get running() {
    return this.nodes.filter((node) => node.id !== undefined)
  }

  static async create(t, optionsOf, kindOf = () => 'ours') {
    const hosts = new Hosts()
    const lan = await Lan.create([...ADDRESSES, BALANCER])
    t.after(async () => {
      await killAll([...hosts.nodes, hosts.balancer].filter(Boolean))
      await lan.destroy()
    })
    const args = ['-e', FORWARDER, String(PORT), ...ADDRESSES]
    hosts.balancer = new Program(args, { namespace: lan.hosts[COUNT].namespace })
    const isUp = () => hosts.balancer.out.includes('forwards')
    await hosts.balancer.until(isUp, PATIENCE, 'the balancer forwards')
    for (const [host, { namespace, address }] of lan.hosts.slice(0, COUNT).entries()) {
      const options = { address, port: PORT, ...optionsOf(host) }
      const node = new RemoteNode(kindOf(host), options, { namespace })
      node.on('changed', () => hosts.changed())
      hosts.nodes.push(node)
    }
    await Promise.all(hosts.nodes.map((node) => node.ready(PATIENCE)))
    return hosts
  }

  async begin(is) {
    const begin = async (node) => {
      await node.begin()
      // Others know a number as a text.
      node.id = String(node.id)
    }
    await Promise.all(this.nodes.filter((_, host) => is(host)).map(begin))
    await this.until(() => isTogether(this.running), PATIENCE, 'one network')
  }

  /** What is told from now on, in so many milliseconds, by how many of which kind. */
  async watch(ms) {
    const before = this.running.map((node) => node.history.length)
    await sleep(ms)
    const news = this.running.flatMap((node, index) => node.history.slice(before[index]))
    return news.map(({ t }) => t)
  }

  /** Waits until nothing was told for five seconds: vain searches become rarer and rarer. */
  async settle() {
    const end = Date.now() + SETTLED_WITHIN
    while ((await this.watch(5_000)).length > 0) {
      assert.ok(Date.now() < end, 'the network comes to rest')
    }
  }
}

const never = () => false

describe('twenty hosts as people configure them', { skip: unavailable() ?? false }, () => {
  for (const [name, configuration] of Object.entries(CONFIGURATIONS)) {
    test(`${name}: one network, and a quiet one`, async (t) => {
      const { options, later = never } = configuration
      const hosts = await Hosts.create(t, options)
      const isOff = configuration.never ?? never
      await hosts.begin((host) => !later(host) && !isOff(host))
      if (later !== never) await hosts.begin(later)
      await hosts.settle()
      assert.deepEqual(await hosts.watch(REST), [])
      assert.ok(isTogether(hosts.running))
    })
  }

  test('six old nodes with odd ids among them: each broadcast once at every node', async (t) => {
    const isOld = (host) => host % 3 === 1 && host < 18
    const hosts = await Hosts.create(
      t,
      (host) => ({ seeds: seedsAt(0, 2), ...(isOld(host) && { id: ODD_IDS[(host - 1) / 3] }) }),
      (host) => (isOld(host) ? 'legacy' : 'ours'),
    )
    await hosts.begin(() => true)
    const line = (node) => `from ${node.id}`
    for (const node of hosts.nodes) await node.write(line(node))
    const count = (node, other) => node.chunks.filter((chunk) => chunk === line(other)).length
    const others = (node) => hosts.nodes.filter((other) => other !== node)
    const isHeard = () => hosts.nodes.every((node) => others(node).every((o) => count(node, o) > 0))
    await hosts.until(isHeard, PATIENCE, 'everyone hears everyone')
    const news = await hosts.watch(REST)
    assert.deepEqual(
      news.filter((t) => t !== 'add'),
      [],
    )
    for (const node of hosts.nodes) {
      for (const other of others(node)) assert.equal(count(node, other), 1, line(other))
    }
  })
})
