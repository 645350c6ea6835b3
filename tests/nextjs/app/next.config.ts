// next.config.ts
import type { NextConfig } from "next";

// The setting of mock-fal that gives files addresses on this machine.
const local = process.env.MOCK_FAL_LOCAL_MEDIA_URLS === "1";

const nextConfig: NextConfig = {
  cacheComponents: true,
  partialPrefetching: true,
  images: {
    remotePatterns: [
      { protocol: "https", hostname: "**.fal.media" },
      ...(local ? [{ hostname: "127.0.0.1" }] : []),
    ],
    dangerouslyAllowLocalIP: local,
  },
};

export default nextConfig;
