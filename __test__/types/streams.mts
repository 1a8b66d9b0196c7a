import { type Duplex, PassThrough, pipeline } from 'node:stream'
import { pipeline as pipelined } from 'node:stream/promises'
import { createNode, type Peer } from 'smokesignal'

interface Events {
  chat: [line: string]
}

const node = createNode<Events>({ address: '127.0.0.1' })
const { broadcast } = node

process.stdin.pipe(broadcast).pipe(process.stdout)
process.stdin.unpipe(broadcast)
pipeline(process.stdin, broadcast, process.stdout, (error) => console.log(error?.code))
const room: boolean = broadcast.write('text') && broadcast.write(Buffer.of(1), () => {})
const duplex: Duplex = broadcast.stream
const readWrite: NodeJS.ReadWriteStream = broadcast
broadcast.setEncoding('utf8').on('data', (text: string) => console.log(text))
console.log(room, duplex, readWrite, broadcast.read())

async function copy(peer: Peer<Events>) {
  await pipelined(peer, new PassThrough(), peer)
  for await (const chunk of peer) console.log(chunk.toString())
  peer.end('bye')
}
node.peers.on('add', copy)

const untyped = createNode({ address: '127.0.0.1' })
pipeline(untyped.broadcast, new PassThrough(), untyped.broadcast, () => {})

// @ts-expect-error: numbers are not bytes
broadcast.write(7)
