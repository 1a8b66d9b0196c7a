import { errorMonitor } from 'node:events'
import { createNode, type Limits, type Options } from 'smokesignal'

// What programs hold, they pass on, also when it may be undefined.
const port = process.env.PORT ? Number(process.env.PORT) : undefined
export const maybe: Options = { address: '127.0.0.1', port, secret: process.env.SECRET }
const seeds = [{ address: '127.0.0.1', port: 1 }] as const
const allow: readonly string[] = ['10.0.0.0/8']
const limits: Limits = { maxDials: undefined }
export const given: Options = { address: '127.0.0.1', seeds, allow, limits }

interface Events {
  move: [x: number]
  frozen: readonly [x: number, y?: string]
  many: readonly string[]
}
const node = createNode<Events>({ address: '127.0.0.1' })
const port2: number = node.options.port
const dials: number = node.options.limits.maxDials
node.options.seeds.push({ address: '127.0.0.1', port: 2 })
node.options.maxPeerNo = 7
node.broadcast.emit('frozen', 1)
node.broadcast.emit('many', 'a', 'b')
node.broadcast.on('frozen', (x, y) => console.log(x.toFixed(), y?.length))
node.broadcast.on('many', (...words) => console.log(words[0]?.length))

// Local events, on typed nodes, too.
node.broadcast
  .on('error', (error) => console.log(error))
  .on('error', (error: Error) => console.log(error.message))
  .on('newListener', (event) => console.log(event))
  .on(errorMonitor, (error: Error) => console.log(error.message))
  .on('move', function (x) {
    this.emit('move', x)
    console.log(this.node.id, this.closed)
  })
node.on('new peer', function (peer) {
  console.log(this.listening, peer.destroyed, peer.writableLength)
})

const controller = new AbortController()
const { signal } = controller
node.start({ signal }).then(() => node.unref().ref())
node.addPeer('127.0.0.1', 1, { signal })
node.addPeer('127.0.0.1', 1, { signal }, (error) => console.log(error?.code))
node[Symbol.asyncDispose]().then(() => console.log(port2, dials))

declare module 'smokesignal' {
  interface NodeEvents<M> {
    ready: [since: Date]
  }
}
node.on('ready', (since) => console.log(since.getTime()))
node.emit('ready', new Date())

const [first] = node.peers.list
// @ts-expect-error: there may be none
first.close()
// @ts-expect-error: a string
node.emit('ready', 'now')
// @ts-expect-error: it is a number
node.broadcast.emit('frozen', 'x')
// @ts-expect-error: no such event
node.broadcast.on('forzen', () => {})
