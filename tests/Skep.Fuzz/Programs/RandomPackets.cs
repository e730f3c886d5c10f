namespace Skep.Fuzz.Programs;

/// <summary>Packets to run compiled programs on, deterministic in the seed: random bytes with many small and extreme numbers among them.</summary>
internal static class RandomPackets
{
    public static IEnumerable<byte[]> Make(int count, int length, int seed = 1)
    {
        var random = new Random(seed);
        for (var i = 0; i < count; i++)
        {
            var packet = new byte[length];
            random.NextBytes(packet);
            for (var w = 0; w + 8 <= length; w += 8)
            {
                switch (random.Next(5))
                {
                    case 0:
                        BitConverter.TryWriteBytes(packet.AsSpan(w), (long)random.Next(-3, 70));
                        break;
                    case 1:
                        BitConverter.TryWriteBytes(packet.AsSpan(w), random.Next(2) == 0 ? long.MinValue : long.MaxValue);
                        break;
                    case 2:
                        BitConverter.TryWriteBytes(packet.AsSpan(w), (long)int.MinValue << random.Next(0, 33));
                        break;
                }
            }

            yield return packet;
        }
    }
}
