'use strict'

// Two or three hosts, each a network namespace, with the addresses that people have.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { mapPort, namesFor, on } = require('../support/hosts')
const { Lan, unavailable } = require('../support/namespaces')
const { RemoteNode, killAll } = require('../support/process')

const PORT = 8495
const PATIENCE = 15_000

async function hostsAt(t, addresses, options) {
  const lan = await Lan.create(addresses, options)
  const nodes = []
  t.after(async () => {
    await killAll(nodes)
    await lan.destroy()
  })
  const start = async (host, options) => {
    const given = { address: undefined, ...options }
    const node = new RemoteNode('ours', given, { namespace: lan.hosts[host].namespace })
    nodes.push(node)
    await node.ready(PATIENCE)
    await node.begin()
    return node
  }
  return { lan, hosts: lan.hosts, start, run: (program) => nodes.push(program) && program }
}

/** Each hears what the other one broadcasts. */
async function talk(...nodes) {
  for (const node of nodes) {
    await node.until(() => node.peers.length > 0, PATIENCE, 'it has a peer')
    await node.broadcast(['chat', node.id])
  }
  for (const node of nodes) {
    const others = nodes.filter((other) => other !== node)
    const hears = (other) => node.events.some(([, text]) => text === other.id)
    await node.until(() => others.every(hears), PATIENCE, 'it hears the others')
  }
}

describe('hosts and their addresses', { skip: unavailable() ?? false, timeout: 240_000 }, () => {
  test('two hosts with the same configuration, without an address, find each other', async (t) => {
    const { start } = await hostsAt(t, ['10.30.0.1', '10.30.0.2'])
    const options = { port: PORT, seeds: [`10.30.0.1:${PORT}`] }
    const [seed, other] = [await start(0, options), await start(1, options)]
    await talk(seed, other)
    assert.deepEqual(seed.logged('warn'), [])
  })

  test('a node behind a port that is mapped, as by Docker, is dialled there', async (t) => {
    const { hosts, start, run: keep } = await hostsAt(t, ['10.31.0.1', '10.31.0.2', '10.31.0.3'])
    const [inner, gateway] = hosts
    // The node's own host drops what does not come through the gateway.
    await mapPort(t, { inner, gateway, from: 9000, to: PORT, keep })
    const mapped = await start(0, {
      ...{ address: gateway.address, port: 9000 },
      listen: { host: inner.address, port: PORT },
    })
    assert.equal(mapped.port, 9000)
    const other = await start(2, { port: PORT, seeds: [`${gateway.address}:9000`] })
    await talk(mapped, other)
    assert.deepEqual(mapped.logged('warn'), [])
  })

  test('IPv6 only', async (t) => {
    const { hosts, start } = await hostsAt(t, ['fd31::1', 'fd31::2'], { prefix: 64 })
    for (const host of hosts) await settled(host)
    const seed = await start(0, { address: 'fd31::1', port: PORT, listen: { host: '::' } })
    const other = await start(1, { seeds: [`[FD31:0::1]:${PORT}`], listen: { host: '::' } })
    await talk(seed, other)
    assert.deepEqual(seed.logged('warn'), [])
  })

  test('a seed is given by its name, and its address changes', async (t) => {
    const { hosts, start } = await hostsAt(t, ['10.32.0.1', '10.32.0.2', '10.32.0.3'])
    const names = namesFor(t, hosts[1])
    names('10.32.0.1 seed.smoke.example')
    const seed = await start(0, { address: '10.32.0.1', port: PORT })
    const other = await start(1, { port: PORT, seeds: [`seed.smoke.example:${PORT}`] })
    await talk(seed, other)
    await seed.kill()
    const gone = () => other.peers.length === 0
    await other.until(gone, PATIENCE, 'the seed has gone')
    names('10.32.0.3 seed.smoke.example')
    const next = await start(2, { address: '10.32.0.3', port: PORT })
    await talk(next, other)
  })

  test("'auto' is the interface that leads to the seed", async (t) => {
    const { hosts, start } = await hostsAt(t, ['10.33.0.1', '10.33.0.2'])
    // A second interface, and the default route leads there.
    const [, host] = hosts
    await on(host, 'ip', 'link', 'add', 'eth1', 'type', 'veth', 'peer', 'eth2')
    await on(host, 'ip', 'addr', 'add', '10.34.0.2/24', 'dev', 'eth1')
    for (const end of ['eth1', 'eth2']) await on(host, 'ip', 'link', 'set', end, 'up')
    await on(host, 'ip', 'route', 'add', 'default', 'via', '10.34.0.1')
    const seed = await start(0, { address: '10.33.0.1', port: PORT })
    const near = await start(1, { address: 'auto', seeds: [`10.33.0.1:${PORT}`] })
    await talk(seed, near)
    assert.ok(near.logged('info').includes('chose the address 10.33.0.2'), near.dump())
    const far = await start(1, { address: 'auto' })
    assert.ok(far.logged('info').includes('chose the address 10.34.0.2'), far.dump())
  })

  test('two hosts with one id that enter through a third are both told', async (t) => {
    const { start } = await hostsAt(t, ['10.36.0.1', '10.36.0.2', '10.36.0.3'])
    await start(0, { address: '10.36.0.1', port: PORT })
    const seeds = [`10.36.0.1:${PORT}`]
    const twins = []
    for (const host of [1, 2]) twins.push(await start(host, { port: PORT, seeds, id: 'twin' }))
    for (const twin of twins) {
      const conflict = () => twin.history.find(({ t }) => t === 'conflict')?.what
      await twin.until(conflict, PATIENCE, 'it is told')
      const { what, id } = conflict()
      assert.deepEqual({ what, id }, { what: 'id', id: 'twin' })
    }
  })

  test('a seed behind a firewall is told, and one without a route', async (t) => {
    const { hosts, start } = await hostsAt(t, ['10.35.0.1', '10.35.0.2'])
    // Packets to there vanish, as at a firewall that drops them.
    const silent = ['10.35.0.9', 'lladdr', '02:00:00:00:00:09']
    await on(hosts[0], 'ip', 'neigh', 'add', ...silent, 'dev', 'eth0')
    const seeds = ['10.35.0.9', '10.35.0.2', '10.36.0.1'].map((host) => `${host}:${PORT}`)
    const node = await start(0, { seeds })
    const outcomes = () => node.history.filter(({ t }) => t === 'outside').at(-1)?.what
    const isTold = () => outcomes()?.every(({ reason }) => reason !== 'not tried')
    await node.until(isTold, PATIENCE, 'it is told')
    const reasons = outcomes().map(({ address, reason }) => [address, reason])
    assert.deepEqual(reasons, [
      ['10.35.0.9', 'no answer'],
      ['10.35.0.2', 'refused'],
      ['10.36.0.1', 'unreachable'],
    ])
  })
})

/** Until the host has made sure that nobody else has its IPv6 address. */
async function settled(host) {
  for (let look = 0; look < 100; look++) {
    const { stdout } = await on(host, 'ip', '-6', 'addr', 'show', 'tentative')
    if (stdout.trim() === '') return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('the IPv6 address stays tentative')
}
