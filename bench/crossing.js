'use strict'

// npm run bench:crossing: where a microsecond goes. Two processes, a million events of about 100 bytes;
// prints the CPU time of each thread per message (Linux), what JSON.parse takes for one event in the
// three ways in which events can cross, and what an event takes to be written in two ways.

const { fork } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const { createNode } = require('..')

const COUNT = 1_000_000
const PER_TICK = 256
const text = 'x'.repeat(30)
const event = (n) => ({ run: 1, n, at: 123456789012 + n, user: 'somebody', text })

/** CPU time of this process's threads so far, in microseconds, by name. */
function threads() {
  const times = {}
  for (const id of fs.readdirSync('/proc/self/task')) {
    const stat = fs.readFileSync(`/proc/self/task/${id}/stat`, 'utf8')
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // utime and stime, in ticks of 10 ms.
    times[name] = (times[name] ?? 0) + (Number(fields[11]) + Number(fields[12])) * 10_000
  }
  return times
}

const perMessage = (now, before) =>
  ['node', 'smokesignal']
    .map((name) => `${name} ${((now[name] - (before[name] ?? 0)) / COUNT).toFixed(2)} µs`)
    .join(', ')

function receive(port) {
  const node = createNode({ address: '127.0.0.1', seeds: [{ address: '127.0.0.1', port }] })
  let heard = 0
  let before
  node.broadcast.on('message', () => {
    if (heard++ === 0) before = threads()
    if (heard === COUNT) process.send(perMessage(threads(), before))
  })
  process.on('disconnect', () => process.exit())
  node.start()
}

async function publish() {
  const node = createNode({ address: '127.0.0.1' })
  await node.start()
  const receiver = fork(__filename, [String(node.options.port)])
  await once(node, 'connect')
  const done = once(receiver, 'message')
  const before = threads()
  for (let n = 0; n < COUNT; ) {
    const end = Math.min(COUNT, n + PER_TICK)
    let hasRoom = true
    while (n < end && hasRoom) hasRoom = node.broadcast.emit('message', event(n++))
    if (!hasRoom) await new Promise((resolve) => node.broadcast.once('drain', resolve))
    await new Promise(setImmediate)
  }
  const [received] = await done
  console.log(`publisher: ${perMessage(threads(), before)}`)
  console.log(`receiver: ${received}`)
  receiver.disconnect()
  await node.stop()
}

function parse() {
  const one = () => 'message'
  const shapes = {
    'an object': [one, (n) => [event(n)]],
    'three arguments': [one, (n) => [n, '0', text]],
    'two names in turn': [(n) => (n & 1 ? 'a' : 'b'), (n) => [event(n)]],
  }
  for (const [shape, [nameOf, build]] of Object.entries(shapes)) {
    const events = Array.from({ length: 140 }, (_, n) => build(n))
    const names = [...new Set(events.map((_, n) => nameOf(n)))]
    const kinds = names.flatMap((name) => [0, name, events[0].length])
    const runs =
      names.length === 1
        ? [0, events.length]
        : events.flatMap((_, n) => [names.indexOf(nameOf(n)), 1])
    const ways = {
      'a flat list': JSON.stringify([kinds, runs, events.flat()]),
      'a list each': JSON.stringify(events.flatMap((args, n) => [nameOf(n), args.length, args])),
      'an array each': JSON.stringify(events.map((args, n) => [nameOf(n), ...args])),
    }
    for (const [way, json] of Object.entries(ways)) {
      for (let n = 0; n < 3000; n++) JSON.parse(json)
      const began = process.cpuUsage()
      for (let n = 0; n < 8000; n++) JSON.parse(json)
      const { user, system } = process.cpuUsage(began)
      const each = (user + system) / 8000 / events.length
      console.log(`JSON.parse, ${shape}, ${way}: ${each.toFixed(2)} µs an event`)
    }
  }
}

/* biome-ignore-start lint/complexity/noArguments: that is what is measured */
const WRITERS = {
  'a rest parameter': (...message) => JSON.stringify(message),
  'a copy of arguments': function () {
    return JSON.stringify([...arguments])
  },
}
/* biome-ignore-end lint/complexity/noArguments: see above */

function write() {
  for (const [way, emit] of Object.entries(WRITERS)) {
    let length = 0
    let began
    for (let n = -100_000; n < COUNT; n++) {
      if (n === 0) began = process.cpuUsage()
      length += emit('message', n, '0', text).length
    }
    const { user, system } = process.cpuUsage(began)
    const each = ((user + system) / COUNT).toFixed(2)
    console.log(`JSON.stringify, three arguments, ${way}: ${each} µs (${length} characters)`)
  }
}

if (process.argv[2]) receive(Number(process.argv[2]))
else publish().then(parse).then(write)
