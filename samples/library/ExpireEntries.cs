using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Samples.Library;

/// <summary>Remembers the interfaces that packets came in by, and forgets each a second after its last packet: nobody has to sweep.</summary>
public sealed class ExpireEntries : XdpProgram
{
    private const ulong Second = 1_000_000_000;

    public HashMap<uint, Seen> Interfaces { get; } = new(256);

    public override XdpAction Run(ref XdpContext context)
    {
        var key = context.IngressInterface;
        ref var seen = ref Interfaces.Find(in key);
        if (Unsafe.IsNullRef(ref seen))
        {
            var first = default(Seen);
            Interfaces.Update(in key, in first, UpdateMode.NoExist);
            seen = ref Interfaces.Find(in key);
            if (Unsafe.IsNullRef(ref seen))
            {
                return XdpAction.Pass;
            }

            seen.Timer.Initialize(Interfaces);
            seen.Timer.OnElapsed(Interfaces, Forget);
        }

        Interlocked.Increment(ref seen.Packets);
        seen.Timer.Start(Second);
        return XdpAction.Pass;
    }

    private void Forget(in uint key, ref Seen seen) => Interfaces.Delete(in key);

    public struct Seen
    {
        public BpfTimer Timer;
        public ulong Packets;
    }
}
