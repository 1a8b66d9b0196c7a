'use strict'

// One attacker in a process of its own: `node program.js <attack> <port> <options as JSON>`. Runs
// until it is killed; says on its standard output, once a second, what it has done.

const net = require('node:net')
const { randomBytes } = require('node:crypto')
const { NativePeer, frames, record } = require('../support/native-wire')
const { md5 } = require('../support/wire')

const [attack, portText, optionsText] = process.argv.slice(2)
const port = Number(portText)
const options = JSON.parse(optionsText ?? '{}')
const secret = options.secretHex && Buffer.from(options.secretHex, 'hex')
const done = { count: 0 }
setInterval(() => console.log(JSON.stringify(done)), 1000)

const FAR = 1n << 60n
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Joins as a native peer, again whenever it is thrown out, and hands the link to `act`. */
async function asPeer(act, joining = {}) {
  for (let life = 0; ; life++) {
    const name = `attacker${process.pid}x${life}`
    const peer = await NativePeer.join(port, name, { secret, ...joining }).catch(() => null)
    if (peer && !peer.closed) {
      const stop = await act(peer)
      await peer.until(() => peer.closed, 2 ** 30, 'the end').catch(() => {})
      stop?.()
    }
    await sleep(50)
  }
}

const flood = (make) => (peer) =>
  peer.flood((n) => {
    done.count++
    return make(n, peer)
  })

/** The origins that are worth forging, once they are known. */
async function victims(peer) {
  await peer.until(() => peer.closed || peer.origins.size > 1, 2 ** 30).catch(() => {})
  return [...peer.origins.values()]
}

function connections(parallel, say) {
  let open = 0
  const more = () => {
    for (; open < parallel; open++) {
      const socket = net.connect({ port, host: '127.0.0.1' })
      done.count++
      socket.on('error', () => {})
      socket.on('close', () => {
        open--
        setTimeout(more, 5)
      })
      socket.on('data', () => {})
      socket.on('connect', () => say(socket))
    }
  }
  more()
}

const attacks = {
  /** Handshakes a byte a second. */
  slowloris: () =>
    connections(1000, (socket) => {
      const text = `${JSON.stringify(['smoke', 'handshake', { id: 'slow' }])}\n`
      let at = 0
      const timer = setInterval(() => socket.write(text[at++ % text.length]), 1000)
      socket.on('close', () => clearInterval(timer))
    }),

  /** Connections, one after the other, as many as can be had. */
  connections: () => connections(50, (socket) => socket.end()),

  /** Strangers that look for peers at the victim's address, ever new ones. */
  requests: () =>
    connections(20, (socket) => {
      const who = { id: `w${done.count}`, remoteAddress: '127.0.0.1', remotePort: options.victim }
      socket.end(`${JSON.stringify(['smoke', 'peer request', who])}\n`)
    }),

  /** A peer that floods such requests, and pings, in others' names. */
  floods: () =>
    connections(1, (socket) => {
      socket.write(`${JSON.stringify(['smoke', 'handshake', { id: `f${process.pid}` }])}\n`)
      const here = { remoteAddress: '127.0.0.1', remotePort: options.victim }
      const target = { targetAddress: '127.0.0.1', targetPort: port }
      const go = () => {
        for (let n = 0; n < 20; n++) {
          const id = `q${done.count++}`
          const isPing = n % 2 === 0
          const data = isPing ? { ...here, ...target } : { id, ...here }
          const packet = { id: `${id}-u-${md5(JSON.stringify(data))}`, data }
          socket.write(`${JSON.stringify(['smoke', isPing ? 'ping' : 'peer request', packet])}\n`)
        }
        if (!socket.destroyed) setTimeout(go, 5)
      }
      go()
    }),

  /** Claims numbers of others' far in the future, with forged broadcasts and without. */
  future: () =>
    asPeer(async (peer) => {
      for (let n = 0; !peer.closed; n++) {
        const claims = (await victims(peer)).filter(({ id }) => !id.startsWith('attacker'))
        for (const victim of claims) {
          done.count++
          peer.raw(frames.ihave([[victim, FAR]]))
          peer.raw(frames.gone(victim, 1n, FAR))
          peer.raw(frames.publish(victim, FAR + BigInt(n), ['["n","forged",1]']))
        }
        await sleep(20)
      }
    }),

  /** The same through the legacy wire: packet ids that look like those of native broadcasts. */
  packets: () =>
    asPeer(async (watcher) => {
      const claims = await victims(watcher)
      const socket = net.connect({ port, host: '127.0.0.1' })
      // It reads: a legacy peer that does not is waited for, up to slowReceiverTimeout.
      socket.on('error', () => {}).resume()
      socket.write(`${JSON.stringify(['smoke', 'handshake', { id: `p${process.pid}` }])}\n`)
      for (let n = 0; !socket.destroyed && !watcher.closed; n++) {
        for (const { id, epoch } of claims) {
          done.count++
          const digits = (value) => value.toString(36).padStart(13, '0')
          const data = ['n', 'forged', n]
          const name = `${id}-n${digits(epoch)}${digits(FAR + BigInt(n))}`
          const packet = { id: `${name}-${md5(JSON.stringify(data))}`, data }
          socket.write(`${JSON.stringify(['smoke', 'broadcast', packet])}\n`)
        }
        await sleep(5)
      }
      watcher.destroy()
    }),

  /** Whatever it hears, again and again. */
  replay: () =>
    asPeer(async (peer) => {
      await victims(peer)
      await peer.until(() => peer.closed || peer.recorded.length > 50, 2 ** 30).catch(() => {})
      return flood((n) => peer.recorded[n % peer.recorded.length])(peer)
    }),

  /** A peer that never reads. */
  deaf: () => asPeer(() => {}, { reads: false }),

  /** Bytes without sense. */
  garbage: () => {
    const noise = Buffer.from(Array.from({ length: 16384 }, (_, n) => (n * 7919 + 13) % 251))
    return asPeer(flood(() => noise))
  },

  /** Lines without sense, before any handshake. */
  lines: () =>
    connections(4, (socket) => {
      const text = Buffer.from('["smoke","broadcast",{"id":"a-b-c","data":[1]}]\n'.repeat(100))
      const go = () => {
        done.count += 100
        if (socket.destroyed) return
        if (socket.write(text)) setImmediate(go)
        else socket.once('drain', go)
      }
      go()
    }),

  /** Asks for everything that everyone ever said. */
  grafts: () =>
    asPeer(async (peer) => {
      const all = await victims(peer)
      return flood((n) => frames.graft(all[n % all.length], 1n, FAR))(peer)
    }),

  /** Watermarks of origins that do not exist. */
  origins: () => asPeer(flood((n) => frames.ihave([[{ id: `fake${n}`, epoch: 1 }, 5]]))),

  /** Its own broadcasts: values nested as deep as a message allows. */
  deep: () => asOrigin(() => `["n",${'['.repeat(20000)}${']'.repeat(20000)}]`),

  /** Each with a name of its own. */
  names: () => asOrigin((n) => `["name${n}",1]`),

  /** Names and keys that reach into JavaScript's objects. */
  prototypes: () => {
    const texts = [
      '["__proto__",{"polluted":1}]',
      '["constructor",{"prototype":{"polluted":1}}]',
      '["n",{"__proto__":{"polluted":1}},{"constructor":{"prototype":{"polluted":1}}}]',
      '["newListener"]',
      '["removeListener"]',
      '["error","boom"]',
      '["toString"]',
    ]
    return asOrigin((n) => texts[n % texts.length])
  },

  /** What it says of itself, one version after the other. */
  records: () =>
    asRecorder(
      flood((n, peer) => {
        const versions = Array.from({ length: 50 }, (_, more) => BigInt(n) * 50n + BigInt(more + 1))
        return frames.records(versions.map((version) => ownRecord(peer, version, [])))
      }),
    ),

  /** Members that it makes up, ever new ones: each is a peer of its own. */
  crowds: () =>
    asRecorder(
      flood((n, peer) => {
        const names = Array.from({ length: 50 }, (_, more) => `crowd${n}x${more}`)
        const crowd = names.map((id) =>
          record({ id, epoch: 1n, version: 1n, neighbours: [peer.id] }),
        )
        return frames.records([ownRecord(peer, n, names), ...crowd])
      }),
    ),

  /** Letters in the names of others: for everybody, for nobody, and back where they come from. */
  letters: () =>
    asRecorder(async (peer) => {
      const all = await victims(peer)
      const behind = { id: 'behind', epoch: 1n }
      peer.raw(
        frames.records([
          record({ ...behind, version: 1n, neighbours: [peer.id] }),
          ownRecord(peer, 1n, [behind.id]),
        ]),
      )
      const nobody = { id: 'nobody', epoch: 1n }
      return flood((n) => {
        const from = n % 3 === 0 ? nobody : all[n % all.length]
        const to = [behind, nobody, ...all].map((origin) => ({ origin, first: n }))
        return frames.letter({ from, to, texts: ['["n","forged",1]'] })
      })(peer)
    }),

  /** Letters and records in the names of others, without their keys. */
  forgeries: () =>
    asRecorder(async (peer) => {
      const all = await victims(peer)
      const lies = setInterval(() => {
        const [other] = all
        peer.raw(frames.records([record({ ...other, version: 1n << 40n, isFinal: true })]))
      }, 500)
      const stop = flood((n) => {
        const from = all[n % all.length]
        const to = all.map((origin) => ({ origin, first: n, code: randomBytes(16) }))
        return frames.letter({ from, to, texts: ['["n","forged",1]'] })
      })(peer)
      return () => {
        clearInterval(lies)
        stop()
      }
    }),

  /** Requests: more than anybody handles, of names that nobody has, and what is none. */
  questions: () =>
    asMember((n) => [
      ['\0q', [n, 60_000, 'nobody', []]],
      ['\0q', [n, -1, 'nobody', {}]],
      ['\0q', null],
      ['\0c', [n]],
    ]),

  /** Answers that nobody asked for, and what is none. */
  answers: () =>
    asMember((n) => [
      ['\0a', [n, { forged: true }]],
      ['\0e', [n, 0, 'E', 'forged']],
      ['\0a', [{}]],
      ['\0e', 'x'],
    ]),
}

/** Joins as a peer that keeps records, and is a member if its own record names the other side. */
function asRecorder(act) {
  return asPeer(act, { members: secret ? 'signed' : true })
}

function ownRecord(peer, version, more) {
  const [, , { id }] = peer.ack
  return record({ id: peer.id, epoch: 0n, version, neighbours: [id, ...more] })
}

/** A member that sends every other one what `make(n)` returns, past what `lib` lets pass. */
async function asMember(make) {
  const { Node } = require('../../lib/node')
  const { loadBinding } = require('../../lib/native')
  const binding = loadBinding()
  let native
  const handles = new Set()
  class NativeNode extends binding.NativeNode {
    constructor(...args) {
      super(...args)
      native = this
    }

    drain() {
      const text = super.drain()
      for (const value of JSON.parse(text ?? '[[],[],[]]')[2]) {
        if (value?.t === 'joined') handles.add(value.member)
      }
      return text
    }
  }
  const seeds = [{ address: '127.0.0.1', port }]
  const node = new Node({ address: '127.0.0.1', seeds, maxPeerNo: 1 }, { ...binding, NativeNode })
  await node.start()
  await node.ready()
  while (make) {
    for (const handle of handles) {
      const texts = Array.from({ length: 20 }, () => make(done.count++)).flat()
      native.emit(handle, texts.map((message) => JSON.stringify(message)).join('\n'))
    }
    await new Promise(setImmediate)
  }
}

/** Broadcasts of its own, as many as are taken. */
function asOrigin(text) {
  let lives = 0
  return asPeer((peer) => {
    const from = { id: `origin${process.pid}x${lives++}`, epoch: 1n }
    return flood((n) => frames.publish(from, n, [text(n)]))(peer)
  })
}

/** For comparison: what is none, and uses the share `options.burn` of a core for nothing. */
const controls = {
  'no peer': () => {},
  'native peer': () => asPeer(() => {}),
  member: () => asMember(null),
  'legacy peer': () =>
    connections(1, (socket) => {
      socket.write(`${JSON.stringify(['smoke', 'handshake', { id: `l${process.pid}` }])}\n`)
    }),
}

function burn(share) {
  const began = performance.now()
  const before = process.cpuUsage()
  setInterval(() => {
    const { user, system } = process.cpuUsage(before)
    const end = performance.now() + 2
    while ((user + system) / 1000 < share * (end - began) && performance.now() < end);
  }, 1)
}

if (options.burn > 0) burn(options.burn)
const act = attacks[attack] ?? controls[attack]
act()
