# subprocess, and multiprocessing in each of its ways.
import asyncio
import concurrent.futures
import multiprocessing
import subprocess
import sys
import threading


def square(number):
    return number * number


def count(counter, times):
    for _ in range(times):
        with counter.get_lock():
            counter.value += 1


async def shout():
    child = await asyncio.create_subprocess_exec(
        "tr", "a-z", "A-Z", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    return (await child.communicate(b"asyncio"))[0].decode()


if __name__ == "__main__":
    print(subprocess.run(["sort", "-r"], input="a\nb\n", capture_output=True, text=True).stdout.split())
    print(subprocess.run(["sh", "-c", "kill -9 $$"]).returncode)
    print(subprocess.check_output("seq 3 | paste -sd,", shell=True, text=True).strip())
    for way in multiprocessing.get_all_start_methods():
        with multiprocessing.get_context(way).Pool(4) as pool:
            print(way, pool.map(square, range(6)))
    counter = multiprocessing.Value("i", 0)
    workers = [multiprocessing.Process(target=count, args=(counter, 50)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print("counter", counter.value)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        print("threads", sum(pool.map(square, range(100))))
    try:
        subprocess.run(["sleep", "60"], timeout=0.5)
    except subprocess.TimeoutExpired:
        print("timeout")
    print(asyncio.run(shout()))
    print(threading.active_count(), sys.byteorder)
