import { defineConfig } from 'eventuali'
import { orders } from './events.ts'
import { sales } from './sales-blue.ts'

export default defineConfig({ store: 'sqlite:shop.db', events: [orders], projections: [sales] })
