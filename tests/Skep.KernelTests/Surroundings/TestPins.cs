using Skep.Bpf;

namespace Skep.KernelTests.Surroundings;

/// <summary>A directory of its own in the bpffs; everything pinned in it goes with it.</summary>
internal sealed class TestPins : IDisposable
{
    public TestPins()
    {
        Directory = System.IO.Path.Combine(BpfFileSystem.DefaultPath, $"skep-test-{Guid.NewGuid():N}");
        BpfFileSystem.EnsureMounted(Directory);
    }

    public string Directory { get; }

    public string Path(string name) => System.IO.Path.Combine(Directory, name);

    public void Dispose() => System.IO.Directory.Delete(Directory, recursive: true);
}
