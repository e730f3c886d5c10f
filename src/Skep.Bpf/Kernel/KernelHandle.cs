using Microsoft.Win32.SafeHandles;

namespace Skep.Bpf.Kernel;

/// <summary>Owns a file descriptor of a BPF object, socket or event.</summary>
internal sealed class KernelHandle : SafeHandleMinusOneIsInvalid
{
    internal KernelHandle(int descriptor)
        : base(ownsHandle: true) => SetHandle(descriptor);

    /// <summary>The descriptor, kept open until the lease is disposed of, whoever closes the handle meanwhile.</summary>
    internal Lease Borrow() => new(this);

    protected override bool ReleaseHandle() => LibC.close((int)handle) == 0;

    internal readonly ref struct Lease
    {
        private readonly KernelHandle? _owner;

        internal Lease(KernelHandle owner)
        {
            var added = false;
            owner.DangerousAddRef(ref added);
            _owner = owner;
        }

        internal int Descriptor => (int)_owner!.DangerousGetHandle();

        public void Dispose() => _owner?.DangerousRelease();
    }
}
