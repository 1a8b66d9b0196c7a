'use strict'

// Bad input on the wire: the node keeps serving its peers and its memory stays bounded.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const net = require('node:net')
const { describe, test } = require('node:test')
const { Network } = require('../support/network')
const { dial, md5, packet } = require('../support/wire')
const { pause, poll } = require('../support/wait')

const MIB = 2 ** 20

/** Resident memory of a process, in bytes. */
function rss({ pid }) {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)[1]) * 1024
}

function openSockets({ pid }) {
  const fds = fs.readdirSync(`/proc/${pid}/fd`)
  const isSocket = (fd) => {
    try {
      return fs.readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('socket:')
    } catch {
      return false
    }
  }
  return fds.filter(isSocket).length
}

/** Two connected nodes, and functions that attack the first one. */
async function pair(t) {
  const network = await Network.grow(t, ['ours', 'ours'])
  await network.everyoneHearsEveryone('before')
  const [victim, other] = network.nodes
  return { network, victim, other }
}

async function attacker(t, port) {
  const wire = await dial(port)
  t.after(() => wire.destroy())
  return wire
}

/** Writes until `total` bytes are sent or the other side has closed. */
async function pour(wire, chunk, total) {
  let sent = 0
  while (sent < total && !wire.ended && !wire.closed) {
    sent += chunk.length
    if (!wire.socket.write(chunk)) {
      await wire.until(() => wire.closed || wire.ended || !wire.socket.writableNeedDrain, 5000)
    }
    await new Promise(setImmediate)
  }
  return sent
}

function random(bytes, seed) {
  const data = Buffer.alloc(bytes)
  let state = seed
  for (let i = 0; i < bytes; i++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    data[i] = state >> 16
  }
  return data
}

describe('bad input', () => {
  test('an endless line from an unconnected link is cut off', async (t) => {
    const { network, victim } = await pair(t)
    const before = rss(victim)
    const wire = await attacker(t, victim.port)
    wire.socket.on('drain', () => wire.changed())
    const sent = await pour(wire, Buffer.alloc(64 * 1024, '['), 64 * MIB)
    await wire.until(() => wire.ended || wire.closed, 6000, 'cut off')
    assert.ok(sent < 32 * MIB, `took ${sent} bytes`)
    assert.ok(rss(victim) - before < 16 * MIB, `grew by ${(rss(victim) - before) / MIB} MiB`)
    await network.everyoneHearsEveryone('after')
    network.assertHealthy()
  })

  test('an endless line from a peer is cut off', async (t) => {
    const { network, victim } = await pair(t)
    const before = rss(victim)
    const wire = await attacker(t, victim.port)
    await wire.handshake('evil')
    wire.socket.on('drain', () => wire.changed())
    wire.raw('["smoke","broadcast",{"id":"')
    await pour(wire, Buffer.alloc(64 * 1024, 'x'), 128 * MIB)
    await wire.until(() => wire.ended || wire.closed, 6000, 'cut off')
    assert.ok(rss(victim) - before < 48 * MIB, `grew by ${(rss(victim) - before) / MIB} MiB`)
    await victim.until(() => !victim.peers.includes('evil'), 5000, 'it is no peer any more')
    await network.everyoneHearsEveryone('after')
    network.assertHealthy()
  })

  test('binary noise from unconnected links and peers, with and without line ends', async (t) => {
    const { network, victim } = await pair(t)
    const before = rss(victim)
    for (let round = 0; round < 12; round++) {
      const wire = await attacker(t, victim.port)
      if (round % 3 === 1) await wire.handshake(`noise${round}`)
      const noise = random(256 * 1024, round + 1)
      if (round % 2) for (let i = 0; i < noise.length; i += 97) noise[i] = 10
      wire.socket.write(noise)
      // A first byte other than `[` may start another protocol, so all bytes are tried.
      if (round < 6) wire.socket.end()
      else await pause(20)
      wire.destroy()
    }
    for (let byte = 0; byte < 256; byte++) {
      const wire = await attacker(t, victim.port)
      wire.socket.end(Buffer.of(byte, 0, 0, 255, 255, 10))
    }
    await network.everyoneHearsEveryone('after')
    assert.ok(rss(victim) - before < 32 * MIB, `grew by ${(rss(victim) - before) / MIB} MiB`)
    await poll(() => victim.peers.length === 1, 10000, 'only the real peer is left')
    network.assertHealthy()
  })

  test('deep nesting, huge numbers, long names and broken text in packets', async (t) => {
    const { network, victim, other } = await pair(t)
    const wire = await attacker(t, victim.port)
    await wire.handshake('odd')
    const deep = `${'['.repeat(100000)}${']'.repeat(100000)}`
    const data = [
      deep,
      `["chat",${deep}]`,
      `["chat",${'9'.repeat(5000)}]`,
      '["chat",1e999999]',
      `["${'n'.repeat(50000)}"]`,
      '["chat","\\ud800"]',
      `{${'"a":{'.repeat(5000)}${'}'.repeat(5000)}}`,
    ]
    for (const text of data) {
      wire.raw(`["smoke","broadcast",{"id":"odd-u-${md5(text)}","data":${text}}]\n`)
    }
    wire.socket.write(Buffer.from([...Buffer.from('["smoke","broadcast",{"id":"'), 0xff, 0xfe, 10]))
    const last = packet('odd', ['chat', { text: 'last/0' }])
    wire.send('broadcast', last)
    const isLast = (event) => event[1]?.text === 'last/0'
    await other.until(() => other.events.some(isLast) || wire.closed, 5000, 'the last or a close')
    for (const node of [victim, other]) node.events.length = 0
    wire.destroy()
    await victim.until(() => victim.peers.length === 1, 5000)
    await network.everyoneHearsEveryone('after')
    network.assertHealthy()
  })

  test('half a line, then silence: an unconnected link is closed in time, a peer is not', async (t) => {
    const { network, victim } = await pair(t)
    const silent = await attacker(t, victim.port)
    silent.raw('["smoke","hands')
    const peer = await attacker(t, victim.port)
    await peer.handshake('half')
    peer.raw('["smoke","broadcast",{"id":"half-')
    await network.everyoneHearsEveryone('meanwhile')
    await silent.until(() => silent.ended || silent.closed, 8000, 'the unconnected link is closed')
    assert.equal(peer.ended, false)
    peer.raw('x"}]\n')
    peer.broadcast('half', ['chat', { text: 'whole/0' }])
    await victim.until(() => victim.events.some((e) => e[1]?.text === 'whole/0'), 5000)
    network.assertHealthy()
  })

  test('10 000 silent connections', { timeout: 120000 }, async (t) => {
    const { network, victim } = await pair(t)
    const before = { rss: rss(victim), sockets: openSockets(victim) }
    const open = new Set()
    t.after(() => {
      for (const socket of open) socket.destroy()
    })
    let opened = 0
    let most = 0
    const connect = () =>
      new Promise((resolve) => {
        const socket = net.connect(victim.port, '127.0.0.1')
        open.add(socket)
        const done = () => {
          opened++
          resolve()
        }
        socket.once('connect', done)
        socket.once('error', done)
        socket.on('error', () => {})
        socket.on('close', () => open.delete(socket))
        socket.resume()
      })
    while (opened < 10000) {
      await Promise.all(Array.from({ length: 250 }, connect))
      most = Math.max(most, rss(victim))
      if (opened % 2500 === 0) await network.everyoneHearsEveryone(`at ${opened}`, 1)
    }
    const grown = (most - before.rss) / MIB
    assert.ok(grown < 64, `grew by ${grown} MiB`)
    await poll(
      () => openSockets(victim) <= before.sockets + 2,
      15000,
      'all of them are closed',
      200,
    )
    await network.everyoneHearsEveryone('after')
    network.assertHealthy()
  })
})
