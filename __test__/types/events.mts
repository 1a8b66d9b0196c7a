import { createNode, type Node, type Peer } from 'smokesignal'

interface Events {
  chat: [nick: string, line: string]
  move: [{ x: number; y: number }]
  bye: []
}

const node: Node<Events> = createNode<Events>({ address: '127.0.0.1' })
const room: boolean = node.broadcast.emit('chat', 'anna', 'hello')
node.broadcast.emit('bye')
node.broadcast
  .on('chat', (nick, line) => console.log(nick.length, line.length))
  .once('move', ({ x, y }) => console.log(x.toFixed(), y.toFixed()))
  .on('data', (chunk) => console.log(chunk))
  .on('drain', () => {})
  .removeListener('bye', () => {})
node.peers.on('add', (peer) => {
  peer.emit('move', { x: 1, y: 2 })
  peer.on('chat', (nick) => console.log(nick.length))
  peer.on('close', () => {})
})
const typed: Peer<Events> | false = node.peers.inList('id')
createNode<{ chat: [msg: string] }>({ address: '127.0.0.1' }).broadcast.emit('chat', 'hello')
console.log(room, typed)

const untyped = createNode({ address: '127.0.0.1' })
untyped.broadcast.on('whatever', (first, second) => console.log(first, second))
untyped.broadcast.emit('whatever', 1, { two: [3] })

// @ts-expect-error: a line is missing
node.broadcast.emit('chat', 'anna')
// @ts-expect-error: a line is text
node.broadcast.emit('chat', 'anna', 1)
// @ts-expect-error: no such event
node.broadcast.emit('chta', 'anna', 'hello')
// @ts-expect-error: no such event
node.broadcast.on('chta', () => {})
// @ts-expect-error: x is a number
node.broadcast.on('move', ({ x }) => x.toUpperCase())
// @ts-expect-error: it has no arguments
node.broadcast.emit('bye', 'now')
node.peers.on('add', (peer) => {
  // @ts-expect-error: peers speak the same events
  peer.emit('hello')
})
// @ts-expect-error: arguments are a list
createNode<{ chat: string }>({ address: '127.0.0.1' })
