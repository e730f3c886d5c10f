using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Fuzz;

/// <summary>Programs whose IL is mutated: small, so that many mutants are tried, and between them of every construct the compiler knows.</summary>
internal static unsafe class IlSeeds
{
    public static IReadOnlyList<XdpProgram> All { get; } = [new Objects(), new Numbers(), new Memory(), new Ways()];

    private interface IStep
    {
        uint Apply(uint x);
    }

    private sealed class Adds(uint by) : IStep
    {
        public uint Apply(uint x) => x + by;
    }

    private sealed class Tests(IStep below, IStep above, uint limit) : IStep
    {
        public uint Apply(uint x) => x < limit ? below.Apply(x) : above.Apply(x);
    }

    private sealed class Objects : XdpProgram
    {
        private readonly ImmutableArray<IStep> _steps = [new Adds(3), new Tests(new Adds(5), new Tests(new Adds(1), new Adds(2), 9), 4)];
        private readonly int[] _table = [1, 5, 9, -4];
        private readonly IStep? _none = null;

        public override XdpAction Run(ref XdpContext context)
        {
            var x = context.RxQueue;
            foreach (var step in _steps)
            {
                x = step.Apply(x);
            }

            for (var i = 0; i < _table.Length; i++)
            {
                x ^= (uint)_table[i];
            }

            x += (uint)_table[x & 3];
            return _none is null && Pick<Adds>(x) ? XdpAction.Pass : XdpAction.Drop;
        }

        private static bool Pick<T>(uint x)
            where T : IStep => typeof(T) == typeof(Adds) && x > 5;
    }

    private sealed class Numbers : XdpProgram
    {
        private readonly Global<long> _state = new();

        public override XdpAction Run(ref XdpContext context)
        {
            var (a, b) = ((int)context.RxQueue, (long)context.IngressInterface);
            var wide = new UInt128((ulong)b, (ulong)a) << (a & 63);
            var sum = (a * 31) - (b / 7) + (b % ((a & 7) + 1)) + (short)a + (sbyte)b + (a >> 3) + (long)((ulong)b >> a);
            int? maybe = a > 3 ? a : null;
            sum += maybe ?? -1;
            sum = Interlocked.Add(ref _state.Value, sum) ^ Interlocked.CompareExchange(ref _state.Value, b, sum);
            return (ulong)(wide >> 64) > (ulong)sum ? XdpAction.Pass : XdpAction.Tx;
        }
    }

    private struct Key
    {
        public byte A;
        public uint B;
    }

    private sealed class Memory : XdpProgram
    {
        private readonly HashMap<Key, ulong> _map = new(16);

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 32 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            Span<byte> buffer = stackalloc byte[16];
            new ReadOnlySpan<byte>(data, 12).CopyTo(buffer);
            buffer[data[20] & 15] = 3;
            var key = new Key { A = buffer[3], B = "abcd"u8[data[1] & 3] };
            ref var count = ref _map.Find(in key);
            if (Unsafe.IsNullRef(ref count))
            {
                var one = 1UL;
                return _map.Update(in key, in one, UpdateMode.Any) == 0 ? XdpAction.Pass : XdpAction.Aborted;
            }

            count += *(ushort*)(data + 3);
            return buffer[..4].SequenceEqual("GET "u8) ? XdpAction.Tx : XdpAction.Pass;
        }
    }

    private sealed class Ways : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var x = context.RxQueue;
            var total = 0u;
            for (var i = 0u; i < 5; i++)
            {
                if ((x & i) == 3)
                {
                    continue;
                }

                total += i * x;
                if (total > 100)
                {
                    break;
                }
            }

            switch (x & 15)
            {
                case 0: total++; break;
                case 1: total += 2; goto case 3;
                case 3: total ^= x; break;
                case 4: return XdpAction.Drop;
                case 5: total = Twice(ref total); break;
                case 9: total--; break;
            }

            return (total, x) switch
            {
                ( > 5, 3) => XdpAction.Tx,
                (_, > 9) => XdpAction.Pass,
                _ => XdpAction.Aborted,
            };
        }

        private static uint Twice(ref uint x)
        {
            x *= 2;
            return x > 50 ? x - 50 : x;
        }
    }
}
