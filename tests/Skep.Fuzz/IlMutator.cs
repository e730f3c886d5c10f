using System.Buffers.Binary;

namespace Skep.Fuzz;

/// <summary>Damages IL: bytes, operands, jumps, tokens of other places, missing and repeated parts. Deterministic in the seed.</summary>
internal sealed class IlMutator(ulong seed, IReadOnlyList<byte[]> bodies)
{
    private SplitMix _random = new(seed);

    public byte[] Mutate(byte[] body)
    {
        var il = (byte[])body.Clone();
        for (var changes = 1 + _random.Below(3); changes > 0 && il.Length > 0; changes--)
        {
            il = Change(il);
        }

        return il;
    }

    private byte[] Change(byte[] il)
    {
        var at = _random.Below(il.Length);
        switch (_random.Below(9))
        {
            case 0:
                il[at] = (byte)_random.Next();
                return il;
            case 1:
                il[at] ^= (byte)(1 << _random.Below(8));
                return il;
            case 2:
                il[at] = (byte)(il[at] + (_random.Below(2) == 0 ? 1 : 255));
                return il;
            case 3 when at + 4 <= il.Length:
            {
                // A token or a number from elsewhere.
                var other = bodies[_random.Below(bodies.Count)];
                if (other.Length >= 4)
                {
                    other.AsSpan(_random.Below(other.Length - 3), 4).CopyTo(il.AsSpan(at));
                }

                return il;
            }

            case 4 when at + 4 <= il.Length:
                BinaryPrimitives.WriteInt32LittleEndian(il.AsSpan(at), new[] { 0, -1, int.MaxValue, int.MinValue, 0x0a000001, 0x06000001, 0x70000001, 0x02000001, 0x1b000001 }[_random.Below(9)]);
                return il;
            case 5:
                return il[..at];
            case 6:
                return [.. il[..at], .. il[(at + _random.Below(il.Length - at))..]];
            case 7:
            {
                var length = _random.Below(Math.Min(16, il.Length - at) + 1);
                return [.. il[..(at + length)], .. il[at..]];
            }

            default:
            {
                // A prefix code, and a jump back.
                il[at] = new byte[] { 0xfe, 0x2b, 0x38, 0x45, 0x25, 0x26, 0x28, 0x6f, 0x7b, 0x7d, 0x8c, 0xa5 }[_random.Below(12)];
                return il;
            }
        }
    }
}
