// In TypeScript: name the events, and both ends are checked.
//
//   npx tsx example/typed.mts

import { once } from 'node:events'
import { createNode } from 'smokesignal'

type Events = {
  order: [order: { id: number; items: string[] }]
  shipped: [id: number]
}

const address = '127.0.0.1'
const shop = createNode<Events>({ address })
await shop.start()
const seeds = [{ address, port: shop.options.port }]
const warehouse = createNode<Events>({ address, seeds })

warehouse.broadcast.on('order', ({ id, items }) => {
  console.log(`order ${id}: ${items.join(', ')}`)
  warehouse.broadcast.emit('shipped', id)
})
shop.broadcast.on('shipped', (id) => {
  console.log(`shipped: ${id}`)
  void Promise.all([shop.stop(), warehouse.stop()])
})

const entered = once(shop, 'connect')
await warehouse.start()
await entered
shop.broadcast.emit('order', { id: 1, items: ['tea', 'milk'] })
// @ts-expect-error: an id is a number
if (process.argv.includes('--never')) shop.broadcast.emit('shipped', 'one')
