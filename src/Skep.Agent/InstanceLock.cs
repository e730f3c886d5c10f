namespace Skep.Agent;

/// <summary>Makes sure that one agent at a time owns an instance. The kernel releases it however the process ends.</summary>
internal sealed class InstanceLock : IDisposable
{
    private readonly FileStream _file;

    private InstanceLock(FileStream file) => _file = file;

    /// <summary>Takes the lock, or explains who has it.</summary>
    /// <exception cref="AgentException">Another agent runs, or the directory cannot be written.</exception>
    public static InstanceLock Take(AgentPaths paths)
    {
        try
        {
            Directory.CreateDirectory(paths.Runtime, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            return new InstanceLock(new FileStream(paths.Lock, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (UnauthorizedAccessException e)
        {
            throw new AgentException($"{e.Message} Run it as root, or as the user who owns {paths.Runtime}.");
        }
        catch (IOException) when (File.Exists(paths.Lock))
        {
            throw new AgentException(
                $"an agent of this instance runs already ({paths.Lock} is locked). See 'skep status'; stop it first, or give this one another name with --instance.");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();
}

/// <summary>The agent cannot start or do what was asked; the message says what to do.</summary>
internal sealed class AgentException(string message) : Exception(message);
