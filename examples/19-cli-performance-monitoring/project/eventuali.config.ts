import { defineConfig } from 'eventuali'

export default defineConfig({
  store: 'shop',
  stores: { shop: 'sqlite:shop.db', bench: 'sqlite:bench.db' },
})
